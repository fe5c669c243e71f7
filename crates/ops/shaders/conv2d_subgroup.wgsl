// y[n, oy, ox, k] = bias[k] + sum over r, s, c of x[n, oy*stride_y + r - pad_top, ox*stride_x + s - pad_left, c] * kernel[r, s, c, k]
// One invocation computes 8 pixels x 4 filters, with loads shared by 8 invocations.
#import convolve_subgroup
#import conv2d_taps
