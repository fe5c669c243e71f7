//! `x = min(max(x, -limit), limit)`.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::clip_by_value as kernel;

/// Keras' `clipvalue`: updates a flat tensor.
#[derive(Clone, Copy, Debug)]
pub struct ClipByValue {
    /// The largest absolute value of the result.
    pub limit: f32,
    /// Elements of the tensor.
    pub count: usize,
}

impl Op for ClipByValue {
    fn name(&self) -> &'static str {
        "clip_by_value"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.count])]),
            _ => Err(Error::inputs(self.name(), "no inputs", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let x = lowering.outputs()[0];
        let count = lowering.shape(x).elements();
        let params = kernel::Params { count: count as u32, limit: self.limit };
        lowering.push(kernel::Update { x }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let limit = f64::from(self.limit);
        let clipped = inputs[0].data.iter().map(|value| value.clamp(-limit, limit)).collect();
        vec![Array::f32([self.count], clipped)]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |count: usize| {
        let name = format!("clip_by_value [{count}]");
        Case::new(name, ClipByValue { limit: 0.5, count }, vec![]).rewriting(vec![Array::random([count], 1)])
    };
    [1, 3, 257].map(case).into()
}
