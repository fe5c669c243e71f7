// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// As `shared_tiles` of `conv2d_weight_gradient_quads`, with factors rounded to f16, by cooperative matrices.
enable f16;
enable wgpu_cooperative_matrix;
#import shared_cooperative
#import weight_gradient_shared
