//! `a = rho a + (1 - rho) g²; u = g sqrt(d + epsilon) / sqrt(a + epsilon); d = rho d + (1 - rho) u²; p = p - lr u`.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::adadelta as kernel;

/// Adadelta (Zeiler, 2012), as in Keras. Input: the gradients. Updates: the parameters, `a` and `d`. All are flat
/// tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Adadelta {
    /// The decay rate of the two means.
    pub rho: f64,
    /// Added under both roots.
    pub epsilon: f32,
}

impl Op for Adadelta {
    fn name(&self) -> &'static str {
        "adadelta"
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
        let (parameters, square, change) = (lowering.outputs()[0], lowering.outputs()[1], lowering.outputs()[2]);
        let count = lowering.shape(gradients).elements();
        let Adadelta { rho, epsilon } = *self;
        let params = kernel::Params { count: count as u32, rho: rho as f32, gain: (1.0 - rho) as f32, epsilon };
        let tensors = kernel::Update { gradients, parameters, square, change };
        lowering.push(tensors.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let [gradients, mut parameters, mut square, mut change] = [0, 1, 2, 3].map(|i| inputs[i].clone());
        let rho = self.rho;
        let [epsilon, rate] = [self.epsilon, step.rates[0]].map(f64::from);
        for (i, &g) in gradients.data.iter().enumerate() {
            square.data[i] = rho * square.data[i] + (1.0 - rho) * g * g;
            let u = g * (change.data[i] + epsilon).sqrt() / (square.data[i] + epsilon).sqrt();
            change.data[i] = rho * change.data[i] + (1.0 - rho) * u * u;
            parameters.data[i] -= rate * u;
        }
        vec![parameters, square, change]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.5; 4], ..Step::default() };
    let case = |count: usize| {
        let mut means = [3, 4].map(|seed| Array::random([count], seed));
        means.iter_mut().flat_map(|mean| &mut mean.data).for_each(|value| *value = value.abs());
        let [square, change] = means;
        Case::new(format!("adadelta [{count}]"), Adadelta { rho: 0.95, epsilon: 1e-7 }, vec![Array::random([count], 1)])
            .rewriting(vec![Array::random([count], 2), square, change])
            .at(step)
    };
    [1, 3, 257].map(case).into()
}
