//! `y[b, j, i] = x[b, i, j]`.

use kiln_graph::{
    Array, Call, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, Tensor, TensorType, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::transpose as kernel;

/// Swaps the last two axes: `[B, I, J] -> [B, J, I]`.
#[derive(Clone, Copy, Debug)]
pub struct Transpose;

/// The call that transposes `x`, `batch` matrices of `rows` by `columns`, to `y`.
pub(crate) fn call(x: Tensor, y: Tensor, [batch, rows, columns]: [usize; 3]) -> Call {
    let params = kernel::Params { batch: batch as u32, rows: rows as u32, columns: columns as u32 };
    kernel::Forward { x, y }.call(params, linear_workgroups(batch * rows * columns, 256))
}

impl Op for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => match x.shape.dims() {
                Some([b, i, j]) => Ok(vec![TensorType::f32([b, j, i])]),
                None => Err(Error::inputs(self.name(), "[B, I, J]", inputs)),
            },
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Samples
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        lowering.push(call(x, y, lowering.dims(x)?));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(Transpose, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let [batch, rows, columns] = inputs[0].shape().dims().unwrap_or([0; 3]);
        let mut y = Array::zeros([batch, columns, rows]);
        for (at, &x) in inputs[0].data.iter().enumerate() {
            let (b, i, j) = (at / (rows * columns), at / columns % rows, at % columns);
            y.data[(b * columns + j) * rows + i] = x;
        }
        vec![y]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |dims: [usize; 3]| {
        Case::new(format!("transpose {dims:?}"), Transpose, vec![Array::random(dims, 1)]).differentiable(&[0])
    };
    [[1, 1, 1], [3, 5, 7], [2, 1, 257]].map(case).into()
}
