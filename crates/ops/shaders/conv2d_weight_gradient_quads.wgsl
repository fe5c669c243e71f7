// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// One invocation computes 8 rows (r, s, c) x 4 filters over one chunk of the pixels; the chunks' sums are added later.
// `shared_tiles` computes 8 x 8 through workgroup memory.
#import conv2d_weight_gradient_quads
#import weight_gradient_f32
