// dx[n, iy, ix, c] = sum over r, s, k of dy[n, (iy + pad_top - r)/stride_y, (ix + pad_left - s)/stride_x, k] * kernel[r, s, c, k]
// As `conv2d_strided_input_gradient`, with factors rounded to f16, by cooperative matrices.
enable f16;
enable wgpu_cooperative_matrix;
#import convolve_shared
#import conv2d_strided_input_gradient_taps
#import shared_cooperative
