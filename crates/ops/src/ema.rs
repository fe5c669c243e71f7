//! `a = momentum a + (1 - momentum) p`, but `a = p` in the first step; then `p = a` every `overwrite_frequency` steps.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::ema as kernel;

/// The exponential moving average of the parameters after a step, as in Keras. Updates the parameters and the average,
/// flat tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Ema {
    /// The momentum of the average, 0 to 1.
    pub momentum: f32,
    /// The number of steps after which the average periodically replaces the parameters; 0 for never.
    pub overwrite_frequency: u32,
    /// Elements of each tensor.
    pub count: usize,
}

impl Op for Ema {
    fn name(&self) -> &'static str {
        "ema"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.count]); 2]),
            _ => Err(Error::inputs(self.name(), "no inputs", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (parameters, average) = (lowering.outputs()[0], lowering.outputs()[1]);
        let count = lowering.shape(parameters).elements();
        let Ema { momentum, overwrite_frequency: frequency, .. } = *self;
        let params = kernel::Params { count: count as u32, momentum, frequency };
        lowering.push(kernel::Update { parameters, average }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let momentum = if step.iteration == 0 { 0.0 } else { f64::from(self.momentum) };
        let values = inputs[0].data.iter().zip(&inputs[1].data);
        let average = values.map(|(p, a)| momentum * a + (1.0 - momentum) * p).collect();
        let average = Array::f32([self.count], average);
        let overwrites = self.overwrite_frequency > 0 && (step.iteration + 1).is_multiple_of(self.overwrite_frequency);
        vec![if overwrites { average.clone() } else { inputs[0].clone() }, average]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (iteration, overwrite_frequency) in [(0, 0), (0, 1), (4, 0), (4, 3), (5, 3)] {
        for count in [1, 3, 257] {
            let op = Ema { momentum: 0.9, overwrite_frequency, count };
            let name = format!("ema of step {iteration} overwriting every {overwrite_frequency} [{count}]");
            let old = vec![Array::random([count], 1), Array::random([count], 2)];
            cases.push(Case::new(name, op, vec![]).rewriting(old).at(Step { iteration, ..Step::default() }));
        }
    }
    cases
}
