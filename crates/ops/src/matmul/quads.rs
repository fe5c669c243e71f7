//! Products in which an invocation loads four adjacent values at once, for GPUs.

use kiln_graph::{Kernel, Limits, Lowering, Tensor, TensorType, linear_workgroups};

use super::Matmul;
use crate::fused::Epilogue;
use crate::kernels::lib::product_quads::{self, Params};
use crate::kernels::{
    matmul as kernel, matmul_cooperative as cooperative, matmul_quads as quads, matmul_shared as shared,
    matmul_single as single, matmul_split as split, matmul_split_cooperative as split_cooperative,
    matmul_subgroup as subgroup,
};
use crate::pad::{in_fours, transposed_in_fours};
use crate::tiles::{
    SUBGROUP_QUADS, Tile, shared_tiles, single_tiles, subgroup_overrides, subgroup_tiles, subgroups_of_8,
};

impl Matmul {
    /// The layout of the kernels for `c [M, N]`.
    pub(super) fn layout(&self, [m, _, n]: [usize; 3]) -> ProductLayout {
        match (self.transpose_a, self.transpose_b) {
            (true, _) => ProductLayout::Tn,
            (_, true) if !self.bias && m < n => ProductLayout::NnOfTransposed,
            _ => ProductLayout::Nn,
        }
    }

    /// Pushes the calls of a tile in quads.
    pub(super) fn push_quads(
        &self,
        lowering: &mut Lowering,
        epilogue: Epilogue,
        [a, b]: [Tensor; 2],
        sizes: [usize; 3],
        tile: Tile,
    ) {
        let c = lowering.outputs()[0];
        let bias = if self.bias { lowering.inputs()[2] } else { a };
        let gates = epilogue.gates(a);
        let [m, k, n] = sizes;
        let (a, b, [rows, columns], length_of_a, strides) = match self.layout(sizes) {
            ProductLayout::Tn => {
                (in_fours(lowering, a, [1, k, m]), in_fours(lowering, b, [1, k, n]), [m, n], m, [n, 1])
            }
            ProductLayout::NnOfTransposed => {
                let turned = transposed_in_fours(lowering, a, [1, k, m]);
                (in_fours(lowering, b, [1, n, k]), turned, [n, m], k, [1, n])
            }
            ProductLayout::Nn => {
                let a = in_fours(lowering, a, [1, m, k]);
                let b = match self.transpose_b {
                    true => transposed_in_fours(lowering, b, [1, k, n]),
                    false => in_fours(lowering, b, [1, k, n]),
                };
                (a, b, [m, n], k, [n, 1])
            }
        };
        let params = Params {
            rows: rows as u32,
            inner: k as u32,
            columns: columns as u32,
            a_stride: length_of_a.div_ceil(4) as u32,
            b_stride: columns.div_ceil(4) as u32,
            row_stride: strides[0] as u32,
            column_stride: strides[1] as u32,
        };
        let spread = tile.spread(rows, columns);
        let (workgroups, quads) = (spread.workgroups, spread.overrides());
        let (epilogue, product_quads) = (epilogue.overrides(), product_quads::Overrides { has_bias: self.bias });
        let call = match tile {
            Tile::Split => {
                let overrides = split::Overrides { epilogue, product_quads, quads };
                push_split(lowering, [a, b, bias, gates], params, overrides, tile);
                return;
            }
            Tile::Cooperative if self.layout(sizes).split(sizes, lowering.limits()) == Some(Split::Fastest) => {
                let overrides = split::Overrides { epilogue, product_quads, quads };
                push_split(lowering, [a, b, bias, gates], params, overrides, tile);
                return;
            }
            Tile::Cooperative => {
                let overrides = cooperative::Overrides { epilogue, product_quads, quads };
                match self.transpose_a {
                    true => cooperative::Tn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                    false => cooperative::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                }
            }
            Tile::Subgroup => {
                let tiles = subgroup_tiles(rows, columns);
                let (quads, subgroup) = (SUBGROUP_QUADS, subgroup_overrides(lowering.limits()));
                let overrides = subgroup::Overrides { epilogue, product_quads, quads, subgroup };
                match self.transpose_a {
                    true => subgroup::Tn { a, b, bias, gates, c }.call(params, overrides, tiles),
                    false => subgroup::Nn { a, b, bias, gates, c }.call(params, overrides, tiles),
                }
            }
            Tile::Shared => {
                let overrides = shared::Overrides { epilogue, product_quads, quads };
                match self.transpose_a {
                    true => shared::Tn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                    false => shared::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                }
            }
            Tile::Single => {
                let overrides = single::Overrides { epilogue, product_quads, quads };
                single::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups)
            }
            _ => {
                let overrides = quads::Overrides { epilogue, product_quads, quads };
                match self.transpose_a {
                    true => quads::Tn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                    false => quads::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups),
                }
            }
        };
        lowering.push(call.flops(2 * m * k * n));
    }
}

/// Pushes the calls that compute blocks of the inner axis in parallel and then add them.
fn push_split(
    lowering: &mut Lowering,
    [a, b, bias, gates]: [Tensor; 4],
    params: Params,
    overrides: split::Overrides,
    tile: Tile,
) {
    let [rows, inner, columns] = [params.rows, params.inner, params.columns].map(|n| n as usize);
    let blocks = inner.div_ceil(BLOCK);
    let partial = lowering.scratch(TensorType::f32([blocks, rows, columns]));
    let single = rows <= FEW_ROWS && tile == Tile::Split;
    let spread = if single { single_tiles(rows, columns) } else { shared_tiles(rows, columns) };
    let overrides = split::Overrides { quads: spread.overrides(), ..overrides };
    let [x, y, _] = spread.workgroups;
    let workgroups = [x, y, blocks as u32];
    let call = if tile == Tile::Cooperative {
        let split::Overrides { epilogue, product_quads, quads } = overrides;
        let overrides = split_cooperative::Overrides { epilogue, product_quads, quads };
        split_cooperative::Tiles { a, b, c: partial }.call(params, overrides, workgroups)
    } else if single {
        split::Single { a, b, c: partial }.call(params, overrides, workgroups)
    } else {
        split::Tiles { a, b, c: partial }.call(params, overrides, workgroups)
    };
    lowering.push(call.flops(2 * rows * inner * columns));
    let merge = split::Merge { bias, gates, c: lowering.outputs()[0], partial };
    lowering.push(merge.call(params, overrides, linear_workgroups(rows * columns, split::INVOCATIONS)));
}

/// The operand layout of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProductLayout {
    /// `a [M, K]` and `b [K, N]`, transposed before if necessary.
    Nn,
    /// `c^T = b a^T`, stored transposed, because a is smaller to transpose.
    NnOfTransposed,
    /// `a [K, M]` and `b [K, N]`.
    Tn,
}

impl ProductLayout {
    /// The candidate tiles, the default first.
    pub(super) fn tiles(self, sizes: [usize; 3], limits: &Limits) -> Vec<(Tile, &'static Kernel)> {
        let few = self.rows_and_columns(sizes)[0] <= FEW_ROWS;
        let mut tiles = match self {
            ProductLayout::Tn => return TN.to_vec(),
            _ if few => NN_OF_FEW_ROWS.to_vec(),
            _ => NN.to_vec(),
        };
        let kernel = if few { split::Single::KERNEL } else { split::Tiles::KERNEL };
        match self.split(sizes, limits) {
            Some(Split::Fastest) => tiles.insert(0, (Tile::Split, kernel)),
            Some(Split::Possible) => tiles.push((Tile::Split, kernel)),
            None => {}
        }
        tiles
    }

    /// Whether blocks of the inner axis can be computed in parallel.
    fn split(self, sizes: [usize; 3], limits: &Limits) -> Option<Split> {
        let [rows, columns] = self.rows_and_columns(sizes);
        let few = rows <= FEW_ROWS;
        let blocks = sizes[1].div_ceil(BLOCK);
        let [x, y, z] = if few { single_tiles(rows, columns) } else { shared_tiles(rows, columns) }.workgroups;
        let fits = blocks > 1 && z == 1 && 4 * (blocks * rows * columns) as u64 <= limits.window_bytes();
        if self == ProductLayout::Tn || !fits {
            return None;
        }
        let idle = x * y < BUSY && blocks >= MANY_BLOCKS && !subgroups_of_8(limits);
        Some(if idle { Split::Fastest } else { Split::Possible })
    }

    fn rows_and_columns(self, [m, _, n]: [usize; 3]) -> [usize; 2] {
        if self == ProductLayout::NnOfTransposed { [n, m] } else { [m, n] }
    }
}

/// What blocks of the inner axis in parallel are for a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// The fastest by rule: other tiles leave much of a GPU idle.
    Fastest,
    Possible,
}

/// Fewer workgroups leave much of a GPU idle.
const BUSY: u32 = 128;
/// The minimum number of blocks to compute in parallel.
const MANY_BLOCKS: usize = 2;
/// The steps of the inner axis per block, summed independently.
const BLOCK: usize = split::BLOCK as usize;
/// The largest number of rows for which other tiles are mostly empty.
const FEW_ROWS: usize = 4;
const NN: [(Tile, &Kernel); 6] = [
    (Tile::Cooperative, cooperative::Nn::KERNEL),
    (Tile::Shared, shared::Nn::KERNEL),
    (Tile::Quads, quads::Nn::KERNEL),
    (Tile::Subgroup, subgroup::Nn::KERNEL),
    (Tile::Columns, kernel::Nn::KERNEL),
    (Tile::Single, single::Nn::KERNEL),
];
const NN_OF_FEW_ROWS: [(Tile, &Kernel); 3] =
    [(Tile::Single, single::Nn::KERNEL), (Tile::Quads, quads::Nn::KERNEL), (Tile::Columns, kernel::Nn::KERNEL)];
const TN: [(Tile, &Kernel); 5] = [
    (Tile::Cooperative, cooperative::Tn::KERNEL),
    (Tile::Shared, shared::Tn::KERNEL),
    (Tile::Quads, quads::Tn::KERNEL),
    (Tile::Subgroup, subgroup::Tn::KERNEL),
    (Tile::Columns, kernel::Tn::KERNEL),
];
