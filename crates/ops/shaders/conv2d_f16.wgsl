// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// As `conv2d`, with factors in f16 and sums in f32.
#import convolution_f16
#import convolve_quads
#import conv2d_taps
