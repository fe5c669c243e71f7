//! `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²; p = p - rate m / (sqrt(v) + epsilon)`.

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::adam as kernel;

/// Adam (Kingma and Ba, 2015) in Keras' form: rewrites parameters, `m` and `v`, all flat and of one shape, by the
/// gradients. The step's learning rate is `lr sqrt(1 - b2^t) / (1 - b1^t)`, with t counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Decay of the gradient's mean.
    pub beta_1: f64,
    /// Decay of the squared gradient's mean.
    pub beta_2: f64,
    /// Added to the root; not corrected for bias.
    pub epsilon: f32,
}

impl Op for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [gradients] => Ok(vec![gradients.clone(); 3]),
            _ => Err(Error::inputs(self.name(), "the gradients, as one tensor", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let gradients = lowering.inputs()[0];
        let (parameters, m, v) = (lowering.outputs()[0], lowering.outputs()[1], lowering.outputs()[2]);
        let count = lowering.shape(gradients).elements();
        let Adam { beta_1, beta_2, epsilon } = *self;
        // 1 - 0.999 in f32 is 1.3e-5 off, which shows in the weights after 20 steps.
        let (gain_1, gain_2) = ((1.0 - beta_1) as f32, (1.0 - beta_2) as f32);
        let params = kernel::Params { count: count as u32, gain_1, gain_2, epsilon };
        lowering.push(kernel::Update { gradients, parameters, m, v }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let [gradients, mut parameters, mut m, mut v] = [0, 1, 2, 3].map(|i| inputs[i].clone());
        let Adam { beta_1, beta_2, .. } = *self;
        let [epsilon, rate] = [self.epsilon, step.rates[0]].map(f64::from);
        for (i, &g) in gradients.data.iter().enumerate() {
            m.data[i] = beta_1 * m.data[i] + (1.0 - beta_1) * g;
            v.data[i] = beta_2 * v.data[i] + (1.0 - beta_2) * g * g;
            parameters.data[i] -= rate * m.data[i] / (v.data[i].sqrt() + epsilon);
        }
        vec![parameters, m, v]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.01; 4], ..Step::default() };
    let case = |count: usize| {
        let mut v = Array::random([count], 4);
        v.data.iter_mut().for_each(|v| *v = v.abs());
        let op = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7 };
        Case::new(format!("adam [{count}]"), op, vec![Array::random([count], 1)])
            .rewriting(vec![Array::random([count], 2), Array::random([count], 3), v])
            .at(step)
    };
    [1, 3, 257].map(case).into()
}
