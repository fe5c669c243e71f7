//! Products in which an invocation loads four adjacent values at once, for GPUs.

use kiln_graph::{DType, Kernel, Limits, Lowering, Tensor, TensorType, linear_workgroups};

use super::Matmul;
use crate::fused::Epilogue;
use crate::kernels::lib::epilogue;
use crate::kernels::lib::product_quads::{self, Params};
use crate::kernels::{matmul, matmul_subgroup as subgroup};
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
    pub(super) fn push_quads(&self, lowering: &mut Lowering, epilogue: Epilogue, sizes: [usize; 3], tile: Tile) {
        let (a, b, c) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
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
        let tensors = Tensors { a, b, bias, gates, c };
        let overrides = (epilogue.overrides(), product_quads::Overrides { has_bias: self.bias });
        let half = lowering.ty(a).dtype == DType::F16;
        match (tile, half) {
            (Tile::Subgroup, _) => {
                let tiles = subgroup_tiles(rows, columns);
                let (quads, subgroup) = (SUBGROUP_QUADS, subgroup_overrides(lowering.limits()));
                let (epilogue, product_quads) = overrides;
                let overrides = subgroup::Overrides { epilogue, product_quads, quads, subgroup };
                let call = match self.transpose_a {
                    true => subgroup::Tn { a, b, bias, gates, c }.call(params, overrides, tiles),
                    false => subgroup::Nn { a, b, bias, gates, c }.call(params, overrides, tiles),
                };
                lowering.push(call.flops(2 * m * k * n));
            }
            (Tile::Split, true) => of_f16::push_split(lowering, tensors, params, overrides),
            (Tile::Split, false) => of_f32::push_split(lowering, tensors, params, overrides),
            (_, true) => lowering.push(of_f16::call(tile, self.transpose_a, tensors, params, overrides)),
            (_, false) => lowering.push(of_f32::call(tile, self.transpose_a, tensors, params, overrides)),
        }
    }
}

/// The tensors of a kernel, `bias` and `gates` being placeholders if there are none.
#[derive(Clone, Copy)]
struct Tensors {
    a: Tensor,
    b: Tensor,
    bias: Tensor,
    gates: Tensor,
    c: Tensor,
}

/// The calls of the tiles whose kernels differ only in the type of the factors: the names of these kernels' modules.
macro_rules! calls {
    ($factors:ident, $quads:ident, $shared:ident, $single:ident, $split:ident) => {
        mod $factors {
            use super::{BLOCK, FEW_ROWS, Params, TensorType, Tensors, Tile, epilogue, product_quads};
            use super::{linear_workgroups, shared_tiles, single_tiles};
            use crate::kernels::{$quads as quads, $shared as shared, $single as single, $split as split};
            use kiln_graph::{Call, Kernel, Lowering};

            type Overrides = (epilogue::Overrides, product_quads::Overrides);

            pub(super) const SHARED_NN: &Kernel = shared::Nn::KERNEL;
            pub(super) const SHARED_TN: &Kernel = shared::Tn::KERNEL;
            pub(super) const QUADS_NN: &Kernel = quads::Nn::KERNEL;
            pub(super) const QUADS_TN: &Kernel = quads::Tn::KERNEL;
            pub(super) const SINGLE: &Kernel = single::Nn::KERNEL;
            pub(super) const SPLIT_SINGLE: &Kernel = split::Single::KERNEL;
            pub(super) const SPLIT_TILES: &Kernel = split::Tiles::KERNEL;

            /// The call of a tile in one pass.
            pub(super) fn call(
                tile: Tile,
                transpose_a: bool,
                Tensors { a, b, bias, gates, c }: Tensors,
                params: Params,
                (epilogue, product_quads): Overrides,
            ) -> Call {
                let [rows, inner, columns] = [params.rows, params.inner, params.columns].map(|n| n as usize);
                let spread = tile.spread(rows, columns);
                let (workgroups, quads) = (spread.workgroups, spread.overrides());
                let call = match (tile, transpose_a) {
                    (Tile::Shared, true) => {
                        let overrides = shared::Overrides { epilogue, product_quads, quads };
                        shared::Tn { a, b, bias, gates, c }.call(params, overrides, workgroups)
                    }
                    (Tile::Shared, false) => {
                        let overrides = shared::Overrides { epilogue, product_quads, quads };
                        shared::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups)
                    }
                    (Tile::Single, _) => {
                        let overrides = single::Overrides { epilogue, product_quads, quads };
                        single::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups)
                    }
                    (_, true) => {
                        let overrides = quads::Overrides { epilogue, product_quads, quads };
                        quads::Tn { a, b, bias, gates, c }.call(params, overrides, workgroups)
                    }
                    (_, false) => {
                        let overrides = quads::Overrides { epilogue, product_quads, quads };
                        quads::Nn { a, b, bias, gates, c }.call(params, overrides, workgroups)
                    }
                };
                call.flops(2 * rows * inner * columns)
            }

            /// Pushes the calls that compute blocks of the inner axis in parallel and then add them.
            pub(super) fn push_split(
                lowering: &mut Lowering,
                Tensors { a, b, bias, gates, c }: Tensors,
                params: Params,
                (epilogue, product_quads): Overrides,
            ) {
                let [rows, inner, columns] = [params.rows, params.inner, params.columns].map(|n| n as usize);
                let blocks = inner.div_ceil(BLOCK);
                let partial = lowering.scratch(TensorType::f32([blocks, rows, columns]));
                let single = rows <= FEW_ROWS;
                let spread = if single { single_tiles(rows, columns) } else { shared_tiles(rows, columns) };
                let overrides = split::Overrides { epilogue, product_quads, quads: spread.overrides() };
                let [x, y, _] = spread.workgroups;
                let workgroups = [x, y, blocks as u32];
                let call = match single {
                    true => split::Single { a, b, c: partial }.call(params, overrides, workgroups),
                    false => split::Tiles { a, b, c: partial }.call(params, overrides, workgroups),
                };
                lowering.push(call.flops(2 * rows * inner * columns));
                let workgroups = linear_workgroups(rows * columns, split::INVOCATIONS);
                lowering.push(split::Merge { bias, gates, c, partial }.call(params, overrides, workgroups));
            }
        }
    };
}
calls!(of_f32, matmul_quads, matmul_shared, matmul_single, matmul_split);
calls!(of_f16, matmul_quads_f16, matmul_shared_f16, matmul_single_f16, matmul_split_f16);

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
    /// The candidate tiles, the default first, for factors in f32 or in f16.
    pub(super) fn tiles(self, [m, k, n]: [usize; 3], limits: &Limits, half: bool) -> Vec<(Tile, &'static Kernel)> {
        let [rows, columns] = if self == ProductLayout::NnOfTransposed { [n, m] } else { [m, n] };
        let few = rows <= FEW_ROWS;
        let mut tiles = match (self, half) {
            (ProductLayout::Tn, false) => return TN.to_vec(),
            (ProductLayout::Tn, true) => return TN_F16.to_vec(),
            (_, false) if few => NN_OF_FEW_ROWS.to_vec(),
            (_, false) => NN.to_vec(),
            (_, true) if few => NN_OF_FEW_ROWS_F16.to_vec(),
            (_, true) => NN_F16.to_vec(),
        };
        let blocks = k.div_ceil(BLOCK);
        let [x, y, z] = if few { single_tiles(rows, columns) } else { shared_tiles(rows, columns) }.workgroups;
        if blocks > 1 && z == 1 && 4 * (blocks * rows * columns) as u64 <= limits.window_bytes() {
            let kernel = match (few, half) {
                (true, false) => of_f32::SPLIT_SINGLE,
                (false, false) => of_f32::SPLIT_TILES,
                (true, true) => of_f16::SPLIT_SINGLE,
                (false, true) => of_f16::SPLIT_TILES,
            };
            let idle = x * y < BUSY && blocks >= MANY_BLOCKS && !subgroups_of_8(limits);
            tiles.insert(if idle { 0 } else { tiles.len() }, (Tile::Split, kernel));
        }
        tiles
    }
}

/// Fewer workgroups leave much of a GPU idle.
const BUSY: u32 = 128;
/// The minimum number of blocks to compute in parallel.
const MANY_BLOCKS: usize = 2;
/// The steps of the inner axis per block, summed independently.
const BLOCK: usize = matmul::BLOCK as usize;
/// The largest number of rows for which other tiles are mostly empty.
const FEW_ROWS: usize = 4;
const NN: [(Tile, &Kernel); 5] = [
    (Tile::Shared, of_f32::SHARED_NN),
    (Tile::Quads, of_f32::QUADS_NN),
    (Tile::Subgroup, subgroup::Nn::KERNEL),
    (Tile::Columns, matmul::Nn::KERNEL),
    (Tile::Single, of_f32::SINGLE),
];
const NN_OF_FEW_ROWS: [(Tile, &Kernel); 3] =
    [(Tile::Single, of_f32::SINGLE), (Tile::Quads, of_f32::QUADS_NN), (Tile::Columns, matmul::Nn::KERNEL)];
const TN: [(Tile, &Kernel); 4] = [
    (Tile::Shared, of_f32::SHARED_TN),
    (Tile::Quads, of_f32::QUADS_TN),
    (Tile::Subgroup, subgroup::Tn::KERNEL),
    (Tile::Columns, matmul::Tn::KERNEL),
];
const NN_F16: [(Tile, &Kernel); 3] =
    [(Tile::Shared, of_f16::SHARED_NN), (Tile::Quads, of_f16::QUADS_NN), (Tile::Single, of_f16::SINGLE)];
const NN_OF_FEW_ROWS_F16: [(Tile, &Kernel); 2] = [(Tile::Single, of_f16::SINGLE), (Tile::Quads, of_f16::QUADS_NN)];
const TN_F16: [(Tile, &Kernel); 2] = [(Tile::Shared, of_f16::SHARED_TN), (Tile::Quads, of_f16::QUADS_TN)];
