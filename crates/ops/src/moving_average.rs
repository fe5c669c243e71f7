//! `moving = momentum moving + (1 - momentum) batch`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::moving_average as kernel;

/// Updates a moving average by the value of the batch, f32 tensors of one shape. `momentum` is as in Keras; others call
/// `1 - momentum` the momentum.
#[derive(Clone, Copy, Debug)]
pub struct MovingAverage {
    /// The momentum of the average, 0 to 1.
    pub momentum: f64,
}

impl Op for MovingAverage {
    fn name(&self) -> &'static str {
        "moving_average"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [batch] if batch.dtype == DType::F32 => Ok(vec![batch.clone()]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor, the value of the batch", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (batch, moving) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(batch).elements();
        let (momentum, gain) = (self.momentum as f32, (1.0 - self.momentum) as f32);
        let params = kernel::Params { count: count as u32, momentum, gain };
        lowering.push(kernel::Update { batch, moving }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let mut moving = inputs[1].clone();
        for (moving, batch) in moving.data.iter_mut().zip(&inputs[0].data) {
            *moving = self.momentum * *moving + (1.0 - self.momentum) * batch;
        }
        vec![moving]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(momentum, count): (f64, usize)| {
        let (batch, old) = (Array::random([count], 1), Array::random([count], 2));
        let name = format!("moving_average {momentum} [{count}]");
        Case::new(name, MovingAverage { momentum }, vec![batch]).rewriting(vec![old])
    };
    [(0.99, 1), (0.9, 3), (0.0, 33), (0.99, 257)].map(case).into()
}
