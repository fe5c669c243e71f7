// partial[block, m, n] = sum over the k of a block of a[m, k] * b[k, n]
// As `matmul_split`, with factors rounded to f16, by cooperative matrices.
enable f16;
enable wgpu_cooperative_matrix;
#import shared_cooperative
#import split_tiles
