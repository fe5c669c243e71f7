// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// One invocation computes 6 pixels x 2 filters; `quads` 8 x 4, `shared_tiles` 8 x 8.
#import convolve
#import convolve_quads
#import convolve_shared
#import conv2d_taps
#import shared_fma
