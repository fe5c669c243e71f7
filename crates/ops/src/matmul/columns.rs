//! Products in which an invocation computes a few columns: on processors, and of tensors larger than the largest
//! binding.

use kiln_graph::{Lowering, Tensor, Window};

use crate::fused::Epilogue;
use crate::kernels::matmul as kernel;
use crate::tiles::{packed_tiles, tiles};

/// The steps of the inner axis per block, summed independently.
const BLOCK: usize = kernel::BLOCK as usize;

/// The rows of a window of c are a multiple of this, so that its offset is aligned for every device, transposed or not.
const ROWS: usize = 64;

/// A product in windows of c's rows and, within each, of b's rows, accumulating in c.
pub(super) struct Product {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) c: Tensor,
    pub(super) epilogue: Epilogue,
    /// `[M, K, N]`
    pub(super) sizes: [usize; 3],
    /// The strides of c's rows and columns, in elements.
    pub(super) strides: [usize; 2],
}

impl Product {
    /// The kernel's parameters for `[rows, inner, columns]`. `a` has `stride` elements per row, from `first` on.
    fn params(&self, sizes: [usize; 3], first: usize, stride: usize) -> kernel::Params {
        let [rows, inner, columns] = sizes.map(|n| n as u32);
        let [row_stride, column_stride, first, stride] =
            [self.strides[0], self.strides[1], first, stride].map(|n| n as u32);
        kernel::Params { rows, inner, columns, row_stride, column_stride, first, stride }
    }

    /// Pushes the calls for `a [M, K]`.
    pub(super) fn push_nn(&self, lowering: &mut Lowering) {
        let Product { a, b, bias, c, epilogue, sizes: [m, k, n], strides } = *self;
        for Window { units, parts: [a] } in lowering.windows(m.div_ceil(ROWS), [(a, ROWS * k)]) {
            let (first, rows) = (units.start * ROWS * strides[0], m.min(units.end * ROWS) - units.start * ROWS);
            let mut part = |tensor| lowering.part(tensor, first, [m * n - first]);
            let (c, epilogue) = (part(c), epilogue.map_gates(part));
            for Window { units, parts: [b] } in lowering.windows(k.div_ceil(BLOCK), [(b, BLOCK * n)]) {
                let (first, end) = (units.start * BLOCK, k.min(units.end * BLOCK));
                let (continues, sizes) = (first > 0, [rows, end - first, n]);
                let epilogue = if end == k { epilogue } else { Epilogue::Plain };
                let overrides = overrides(bias, continues, epilogue);
                let tensors = kernel::Nn { a, b, bias: bias.unwrap_or(b), gates: epilogue.gates(b), c };
                let call = tensors.call(self.params(sizes, first, k), overrides, packed_tiles(rows, n));
                lowering.push(call.flops(2 * sizes.iter().product::<usize>()));
            }
        }
    }

    /// Pushes the calls for `a [K, M]`.
    pub(super) fn push_tn(&self, lowering: &mut Lowering) {
        let Product { a, b, bias, c, epilogue, sizes: [m, k, n], .. } = *self;
        // Gates have c's layout; without gates, c is a placeholder that is not bound.
        let cut = [c, epilogue.gates(c)].map(|tensor| (tensor, ROWS * n));
        for Window { units, parts: [c, gates] } in lowering.windows(m.div_ceil(ROWS), cut) {
            let (first, rows) = (units.start * ROWS, m.min(units.end * ROWS) - units.start * ROWS);
            let epilogue = epilogue.map_gates(|_| gates);
            for Window { units, parts: [a, b] } in lowering.windows(k, [(a, m), (b, n)]) {
                let (continues, sizes) = (units.start > 0, [rows, units.len(), n]);
                let epilogue = if units.end == k { epilogue } else { Epilogue::Plain };
                let overrides = overrides(bias, continues, epilogue);
                let tensors = kernel::Tn { a, b, bias: bias.unwrap_or(b), gates: epilogue.gates(b), c };
                let call = tensors.call(self.params(sizes, first, m), overrides, tiles(rows, n));
                lowering.push(call.flops(2 * sizes.iter().product::<usize>()));
            }
        }
    }
}

fn overrides(bias: Option<Tensor>, continues: bool, epilogue: Epilogue) -> kernel::Overrides {
    kernel::Overrides { has_bias: bias.is_some() && !continues, continues, epilogue: epilogue.overrides() }
}
