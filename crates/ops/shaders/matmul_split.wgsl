// partial[block, m, n] = sum over the k of a block of a[m, k] * b[k, n]; c[m, n] = bias[n] + sum over blocks of partial
// As `matmul_shared` (`tiles`) and `matmul_single` (`single`), with blocks of the inner axis along z, for products of too few
// workgroups; `merge`: one invocation computes one element.
#import matmul_split
#import product_f32
