//! `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g²; p = p - (rate m + rate_now g) / (sqrt(v scale) + epsilon)`.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::nadam as kernel;

/// Nadam (Dozat, 2016), as in Keras. Input: the gradients. Updates: the parameters, `m` and `v`. All are flat tensors
/// of one shape. The step's first two rates are those of the mean and of the gradient, the third is the bias correction
/// of `v`.
#[derive(Clone, Copy, Debug)]
pub struct Nadam {
    /// `1 - b1`, the gain of the mean gradient.
    pub gain_1: f32,
    /// `1 - b2`, the gain of the mean squared gradient.
    pub gain_2: f32,
    /// Added to the root.
    pub epsilon: f32,
}

impl Op for Nadam {
    fn name(&self) -> &'static str {
        "nadam"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [gradients] => Ok(vec![gradients.clone(); 3]),
            _ => Err(Error::inputs(self.name(), "one tensor, the gradients", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let gradients = lowering.inputs()[0];
        let (parameters, m, v) = (lowering.outputs()[0], lowering.outputs()[1], lowering.outputs()[2]);
        let count = lowering.shape(gradients).elements();
        let Nadam { gain_1, gain_2, epsilon } = *self;
        let params = kernel::Params { count: count as u32, gain_1, gain_2, epsilon };
        lowering.push(kernel::Update { gradients, parameters, m, v }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let [gradients, mut parameters, mut m, mut v] = [0, 1, 2, 3].map(|i| inputs[i].clone());
        let [gain_1, gain_2, epsilon] = [self.gain_1, self.gain_2, self.epsilon].map(f64::from);
        let [rate, rate_now, scale, _] = step.rates.map(f64::from);
        for (i, &g) in gradients.data.iter().enumerate() {
            // Keras' form of both means, in which an infinite one becomes NaN.
            m.data[i] += gain_1 * (g - m.data[i]);
            v.data[i] += gain_2 * (g * g - v.data[i]);
            parameters.data[i] -= (rate * m.data[i] + rate_now * g) / ((scale * v.data[i]).sqrt() + epsilon);
        }
        vec![parameters, m, v]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.01, 0.02, 3.0, 0.0], ..Step::default() };
    let case = |count: usize| {
        let mut v = Array::random([count], 4);
        v.data.iter_mut().for_each(|v| *v = v.abs());
        let op = Nadam { gain_1: 0.1, gain_2: 0.001, epsilon: 1e-7 };
        Case::new(format!("nadam [{count}]"), op, vec![Array::random([count], 1)])
            .rewriting(vec![Array::random([count], 2), Array::random([count], 3), v])
            .at(step)
    };
    [1, 3, 257].map(case).into()
}
