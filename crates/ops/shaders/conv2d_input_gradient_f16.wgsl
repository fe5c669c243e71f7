// dx[n, iy, ix, c] = sum over r, s, k of dy[n, iy + pad_top - r, ix + pad_left - s, k] * kernel[r, s, c, k]
// As `conv2d_input_gradient`, with factors in f16 and sums in f32.
#import convolution_f16
#import convolve_quads
#import conv2d_input_gradient_taps
