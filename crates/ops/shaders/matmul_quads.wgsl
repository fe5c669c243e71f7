// nn: c[m, n] = bias[n] + sum over k of a[m, k] * b[k, n]; tn: the same with a[k, m]
// One invocation computes 8 rows x 4 columns. The result may be stored transposed, which makes `nn` serve for a * b^T.
#import matmul_quads
#import product_f32
