// c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n], where there are few rows
// One invocation computes 1 row x 4 columns.
#import matmul_single
#import product_f32
