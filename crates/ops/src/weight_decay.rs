//! `p = p - rate learning_rate p`, before the optimizer's rule.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::weight_decay as kernel;

/// Decoupled weight decay (Loshchilov and Hutter, 2019), as in Keras: updates flat parameters, by the step's learning
/// rate.
#[derive(Clone, Copy, Debug)]
pub struct WeightDecay {
    /// The share of a parameter that decays in a step, divided by the learning rate.
    pub rate: f32,
    /// Elements of the tensor.
    pub count: usize,
}

impl Op for WeightDecay {
    fn name(&self) -> &'static str {
        "weight_decay"
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
        let parameters = lowering.outputs()[0];
        let count = lowering.shape(parameters).elements();
        let params = kernel::Params { count: count as u32, rate: self.rate };
        lowering.push(kernel::Update { parameters }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        // Keras' form, in which an infinite weight becomes NaN.
        let rate = f64::from(self.rate) * f64::from(step.learning_rate);
        vec![Array::f32([self.count], inputs[0].data.iter().map(|p| p - p * rate).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { learning_rate: 0.5, ..Step::default() };
    let case = |count: usize| {
        let op = WeightDecay { rate: 0.25, count };
        Case::new(format!("weight_decay [{count}]"), op, vec![]).rewriting(vec![Array::random([count], 1)]).at(step)
    };
    [1, 3, 257].map(case).into()
}
