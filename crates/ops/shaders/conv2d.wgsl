// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// One invocation computes 6 pixels x 2 filters; `quads` and `shared_tiles` compute 8 x 4.
#import convolve
#import convolve_quads
#import conv2d_taps
