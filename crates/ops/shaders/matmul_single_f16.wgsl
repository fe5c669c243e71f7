// c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n], where there are few rows
// As `matmul_single`, with factors in f16 and sums in f32.
#import matmul_single
#import product_f16
