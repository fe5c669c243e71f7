// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One workgroup computes 64 x 64 or 128 x 32 by way of its memory, one invocation 8 rows x 8 columns.
#import shared_fma
#import matmul_shared
