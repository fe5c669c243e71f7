// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// As `matmul_shared`, with factors in f16 and sums in f32.
#import matmul_shared
#import product_f16
