//! `p = p - lr g`, or with momentum `v = momentum v - lr g`, `p = p + v` (Nesterov: `p = p + momentum v - lr g`).

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::sgd as kernel;

/// Stochastic gradient descent, as in Keras. Input: the gradients. Updates: the parameters and, unless the momentum is
/// 0, the velocity. All are flat tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// The momentum, 0 to 1.
    pub momentum: f32,
    /// Whether to use Nesterov momentum.
    pub nesterov: bool,
}

impl Op for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [gradients] => Ok(vec![gradients.clone(); if self.momentum == 0.0 { 1 } else { 2 }]),
            _ => Err(Error::inputs(self.name(), "one tensor, the gradients", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (gradients, parameters) = (lowering.inputs()[0], lowering.outputs()[0]);
        let form = lowering.form([lowering.shape(gradients).elements()]);
        let count = form.units(lowering.shape(gradients).elements());
        let params = kernel::Params { count: count as u32, momentum: self.momentum };
        let overrides = kernel::Overrides { nesterov: self.nesterov };
        let workgroups = linear_workgroups(count, 256);
        lowering.push(match lowering.outputs().get(1) {
            None => kernel::Plain { gradients, parameters }.call(form, params, overrides, workgroups),
            Some(&velocity) => {
                kernel::Momentum { gradients, parameters, velocity }.call(form, params, overrides, workgroups)
            }
        });
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (momentum, rate) = (f64::from(self.momentum), f64::from(step.rates[0]));
        let mut rewritten: Vec<Array> = inputs[1..].iter().map(|&array| array.clone()).collect();
        for (i, &g) in inputs[0].data.iter().enumerate() {
            let change = match rewritten.get_mut(1) {
                None => -rate * g,
                Some(velocity) => {
                    velocity.data[i] = momentum * velocity.data[i] - rate * g;
                    if self.nesterov { momentum * velocity.data[i] - rate * g } else { velocity.data[i] }
                }
            };
            rewritten[0].data[i] += change;
        }
        rewritten
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.1; 4], ..Step::default() };
    let mut cases = Vec::new();
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        for count in [1, 3, 257, 260] {
            let moments = if momentum == 0.0 { 1 } else { 2 };
            let old = (0..moments).map(|i| Array::random([count], 2 + i)).collect();
            let name = format!("sgd momentum {momentum} nesterov {nesterov} [{count}]");
            let op = Sgd { momentum, nesterov };
            cases.push(Case::new(name, op, vec![Array::random([count], 1)]).rewriting(old).at(step));
        }
    }
    cases
}
