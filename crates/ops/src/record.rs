//! `metrics[row] = (sum over n of loss[n], sum over n of hits[n])`.

use kiln_graph::{Array, DType, Error, Lowering, Op, Result, Step, TensorType};

use crate::case::Case;
use crate::kernels::record as kernel;

/// Writes a batch's summed loss and hits into the step's row of the metrics: takes `(loss [N], hits [N])`, rewrites
/// `[rows, 2]`. One row a step, so that nothing waits and nothing is rounded together.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Rows of the metrics.
    pub rows: usize,
}

impl Op for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [loss, hits] if loss == hits && loss.dtype == DType::F32 && loss.shape.len() == 1 => {
                Ok(vec![TensorType::f32([self.rows, 2])])
            }
            _ => Err(Error::inputs(self.name(), "f32 (loss [N], hits [N])", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (loss, hits, metrics) = (lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]);
        let params = kernel::Params { samples: lowering.shape(loss).elements() as u32 };
        lowering.push(kernel::Update { loss, hits, metrics }.call(params, [1, 1, 1]));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let mut metrics = inputs[2].clone();
        for (column, values) in inputs[..2].iter().enumerate() {
            metrics.data[step.row as usize * 2 + column] = values.data.iter().sum();
        }
        vec![metrics]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |n: usize| {
        let inputs = vec![Array::random([n], 1), Array::random([n], 2)];
        let step = Step { row: 2, ..Step::default() };
        Case::new(format!("record [{n}]"), Record { rows: 4 }, inputs).rewriting(vec![Array::random([4, 2], 3)]).at(step)
    };
    [1, 3, 64, 257].map(case).into()
}
