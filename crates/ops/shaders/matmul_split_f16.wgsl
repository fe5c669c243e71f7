// partial[block, m, n] = sum over the k of a block of a[m, k] * b[k, n]; c[m, n] = bias[n] + sum over blocks of partial
// As `matmul_split`, with factors in f16 and sums in f32.
#import matmul_split
#import product_f16
