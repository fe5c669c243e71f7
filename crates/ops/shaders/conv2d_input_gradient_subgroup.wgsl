// dx[n, iy, ix, c] = sum over r, s, k of dy[n, iy + pad_top - r, ix + pad_left - s, k] * kernel[r, s, c, k]
// One invocation computes 8 pixels x 4 channels, with loads shared by 8 invocations.
#import convolve_subgroup
#import conv2d_input_gradient_taps
