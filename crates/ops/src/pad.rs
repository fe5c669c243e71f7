//! `y[b, i, j] = x[b, i, j]`, or `x[b, j, i]`, inside of x, else 0.

use kiln_graph::{
    Array, Call, DType, Error, Lowering, Op, Pieces, Result, Step, Tensor, TensorType, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::pad as kernel;

/// Pads matrices with zeros: `[B, I, J] -> [B, rows, columns]`; transposed, `[B, J, I] -> [B, rows, columns]`.
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    /// The padded number of rows.
    pub rows: usize,
    /// The padded number of columns, a multiple of 4.
    pub columns: usize,
    /// Whether to transpose the matrices first.
    pub transpose: bool,
}

impl Pad {
    /// `[B, I, J]`, if the matrices, after transposition, fit.
    fn fit(&self, x: &TensorType) -> Option<[usize; 3]> {
        let [batch, mut rows, mut columns]: [usize; 3] = x.shape.dims()?;
        if self.transpose {
            (rows, columns) = (columns, rows);
        }
        let fits = rows <= self.rows && columns <= self.columns && self.columns.is_multiple_of(4);
        (fits && x.dtype == DType::F32).then_some([batch, rows, columns])
    }

    /// The call for matrices of `rows` by `columns` after transposition.
    fn call(&self, x: Tensor, y: Tensor, [batch, rows, columns]: [usize; 3]) -> Call {
        let quads_of_row = self.columns / 4;
        let quads = batch * self.rows * quads_of_row;
        let [row_stride, column_stride] = if self.transpose { [1, rows] } else { [columns, 1] };
        let params = kernel::Params {
            quads: quads as u32,
            rows: self.rows as u32,
            quads_of_row: quads_of_row as u32,
            rows_of_x: rows as u32,
            columns_of_x: columns as u32,
            batch_stride: (rows * columns) as u32,
            row_stride: row_stride as u32,
            column_stride: column_stride as u32,
        };
        kernel::Forward { x, y }.call(params, linear_workgroups(quads, 256))
    }

    /// Pushes the call for `x`, to a scratch tensor.
    fn push(&self, lowering: &mut Lowering, x: Tensor, sizes: [usize; 3]) -> Tensor {
        let y = lowering.scratch(TensorType::f32([sizes[0], self.rows, self.columns]));
        lowering.push(self.call(x, y, sizes));
        y
    }
}

/// Whether a product over an inner axis of this length should load four values at once: the device prefers it, the axis
/// is not so short that padding it to a multiple of 4 costs more, and the padded tensors can be bound whole.
pub(crate) fn quads_fit<const N: usize>(lowering: &Lowering, inner: usize, elements: [usize; N]) -> bool {
    let limits = lowering.limits();
    let fit = elements.iter().all(|&count| 4 * count as u64 <= limits.window_bytes());
    limits.gpu_kernels && inner > 1 && fit
}

/// Pads the rows of `x [batch, rows, columns]` to a multiple of 4, in a scratch tensor if necessary.
pub(crate) fn in_fours(lowering: &mut Lowering, x: Tensor, [batch, rows, columns]: [usize; 3]) -> Tensor {
    if columns.is_multiple_of(4) {
        return x;
    }
    let pad = Pad { rows, columns: columns.next_multiple_of(4), transpose: false };
    pad.push(lowering, x, [batch, rows, columns])
}

/// Transposes `x [batch, columns, rows]` to `[batch, rows, columns]`, with rows padded to a multiple of 4, in a scratch
/// tensor.
pub(crate) fn transposed_in_fours(lowering: &mut Lowering, x: Tensor, [batch, rows, columns]: [usize; 3]) -> Tensor {
    let pad = Pad { rows, columns: columns.next_multiple_of(4), transpose: true };
    pad.push(lowering, x, [batch, rows, columns])
}

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        let Pad { rows, columns, transpose } = *self;
        match inputs {
            [x] => self.fit(x).map(|[batch, ..]| vec![TensorType::f32([batch, rows, columns])]),
            _ => None,
        }
        .ok_or_else(|| {
            let how = if transpose { ", transposed" } else { "" };
            Error::inputs(
                self.name(),
                format!("f32 [B, I, J]{how}, I <= {rows}, J <= {columns}, which is a multiple of 4"),
                inputs,
            )
        })
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        self.infer(&lowering.input_types())?;
        let sizes = self.fit(lowering.ty(x)).unwrap_or_default();
        lowering.push(self.call(x, y, sizes));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [batch, rows, columns] = self.fit(&inputs[0].ty).unwrap_or_default();
        let mut y = Array::zeros([batch, self.rows, self.columns]);
        for b in 0..batch {
            for i in 0..rows {
                for j in 0..columns {
                    let from = if self.transpose { j * rows + i } else { i * columns + j };
                    y.data[(b * self.rows + i) * self.columns + j] = inputs[0].data[b * rows * columns + from];
                }
            }
        }
        vec![y]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(dims, rows, columns, transpose): ([usize; 3], usize, usize, bool)| {
        let op = Pad { rows, columns, transpose };
        Case::new(format!("pad {dims:?} to {rows}x{columns}, transposed {transpose}"), op, vec![Array::random(dims, 1)])
    };
    [
        ([1, 1, 1], 1, 4, false),
        ([3, 5, 7], 5, 8, false),
        ([3, 5, 7], 9, 8, false),
        ([3, 5, 7], 7, 8, true),
        ([2, 1, 257], 1, 260, false),
        ([2, 257, 3], 4, 260, true),
    ]
    .map(case)
    .into()
}
