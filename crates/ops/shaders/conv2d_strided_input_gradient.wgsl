// dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + pad_top - r)/stride_y, (ix + pad_left - s)/stride_x, k] * kernel[r, s, c, k]
// One invocation computes 6 pixels x 2 channels; `quads` 8 x 4, `shared_tiles` 8 x 8.
#import convolve
#import convolve_quads
#import convolve_shared
#import conv2d_strided_input_gradient_taps
#import shared_fma
