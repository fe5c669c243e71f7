// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// As `conv2d`, with factors rounded to f16, by cooperative matrices.
enable f16;
enable wgpu_cooperative_matrix;
#import convolve_shared
#import conv2d_taps
#import shared_cooperative
