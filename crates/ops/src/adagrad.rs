//! `a = a + g²; p = p - lr g / sqrt(a + epsilon)`.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::adagrad as kernel;

/// Adagrad (Duchi, Hazan and Singer, 2011), as in Keras 3. Input: the gradients. Updates: the parameters and `a`. All
/// are flat tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    /// Added under the root.
    pub epsilon: f32,
}

impl Op for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [gradients] => Ok(vec![gradients.clone(); 2]),
            _ => Err(Error::inputs(self.name(), "one tensor, the gradients", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (gradients, parameters, accumulator) = (lowering.inputs()[0], lowering.outputs()[0], lowering.outputs()[1]);
        let count = lowering.shape(gradients).elements();
        let params = kernel::Params { count: count as u32, epsilon: self.epsilon };
        let tensors = kernel::Update { gradients, parameters, accumulator };
        lowering.push(tensors.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (mut parameters, mut accumulator) = (inputs[1].clone(), inputs[2].clone());
        let [epsilon, rate] = [self.epsilon, step.rates[0]].map(f64::from);
        for (i, &g) in inputs[0].data.iter().enumerate() {
            accumulator.data[i] += g * g;
            parameters.data[i] -= rate * g / (accumulator.data[i] + epsilon).sqrt();
        }
        vec![parameters, accumulator]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.1; 4], ..Step::default() };
    let case = |count: usize| {
        let mut accumulator = Array::random([count], 3);
        accumulator.data.iter_mut().for_each(|a| *a = a.abs());
        Case::new(format!("adagrad [{count}]"), Adagrad { epsilon: 1e-7 }, vec![Array::random([count], 1)])
            .rewriting(vec![Array::random([count], 2), accumulator])
            .at(step)
    };
    [1, 3, 257].map(case).into()
}
