// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// As `matmul_quads`, with factors in f16 and sums in f32.
#import matmul_quads
#import product_f16
