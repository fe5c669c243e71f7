// dkernel[r, s, c, k] = sum over n, oy, ox of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * dy[n, oy, ox, k]
// As `conv2d_weight_gradient_quads`, with factors in f16 and sums in f32.
#import conv2d_weight_gradient_quads
#import weight_gradient_f16
