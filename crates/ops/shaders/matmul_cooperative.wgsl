// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// As `matmul_shared`, with factors rounded to f16, by cooperative matrices.
enable f16;
enable wgpu_cooperative_matrix;
#import shared_cooperative
#import matmul_shared
