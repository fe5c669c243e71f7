//! `v = rho v + (1 - rho) g²; p = p - lr g / (sqrt(v + inner) + outer)`, with momentum `b = momentum b + lr g / (…)`,
//! `p = p - b`; centered: `a = rho a + (1 - rho) g`, and `v - a²` in place of `v` under the root.

use kiln_graph::{Array, Error, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::rmsprop as kernel;
use crate::nan::larger;

/// RMSprop (Hinton, 2012), with an epsilon under the root, outside of it, or both. Input: the gradients. Updates: the
/// parameters, `v`, then `b` unless the momentum is 0, then `a` if centered. All are flat tensors of one shape.
#[derive(Clone, Copy, Debug)]
pub struct RmsProp {
    /// The decay rate of the means.
    pub rho: f64,
    /// The momentum, 0 to 1.
    pub momentum: f32,
    /// The epsilon under the root.
    pub inner: f32,
    /// The epsilon outside of the root.
    pub outer: f32,
    /// Whether to normalize gradients by their variance instead of their mean square.
    pub centered: bool,
}

impl RmsProp {
    fn moments(&self) -> usize {
        1 + usize::from(self.momentum != 0.0) + usize::from(self.centered)
    }
}

impl Op for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [gradients] => Ok(vec![gradients.clone(); 1 + self.moments()]),
            _ => Err(Error::inputs(self.name(), "one tensor, the gradients", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let gradients = lowering.inputs()[0];
        let (parameters, velocity) = (lowering.outputs()[0], lowering.outputs()[1]);
        let form = lowering.form([lowering.shape(gradients).elements()]);
        let count = form.units(lowering.shape(gradients).elements());
        let RmsProp { rho, momentum, inner, outer, .. } = *self;
        let gain = (1.0 - rho) as f32;
        let params = kernel::Params { count: count as u32, rho: rho as f32, gain, inner, outer, momentum };
        let workgroups = linear_workgroups(count, 256);
        lowering.push(match (self.centered, &lowering.outputs()[2..]) {
            (false, &[momentum]) => {
                kernel::WithMomentum { gradients, parameters, velocity, momentum }.call(form, params, workgroups)
            }
            (true, &[average]) => {
                kernel::Centered { gradients, parameters, velocity, average }.call(form, params, workgroups)
            }
            (true, &[momentum, average]) => {
                kernel::CenteredWithMomentum { gradients, parameters, velocity, momentum, average }
                    .call(form, params, workgroups)
            }
            _ => kernel::Plain { gradients, parameters, velocity }.call(form, params, workgroups),
        });
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let RmsProp { rho, centered, .. } = *self;
        let [momentum, inner, outer] = [self.momentum, self.inner, self.outer].map(f64::from);
        let rate = f64::from(step.rates[0]);
        let mut rewritten: Vec<Array> = inputs[1..].iter().map(|&array| array.clone()).collect();
        let last = rewritten.len() - 1;
        for (i, &g) in inputs[0].data.iter().enumerate() {
            let mean = |old: &mut f64, new: f64| {
                *old = rho * *old + (1.0 - rho) * new;
                *old
            };
            let square = mean(&mut rewritten[1].data[i], g * g);
            let offset = if centered { mean(&mut rewritten[last].data[i], g).powi(2) } else { 0.0 };
            // Rounding may make the difference negative.
            let mut change = rate * g / ((larger(square - offset, 0.0) + inner).sqrt() + outer);
            if momentum != 0.0 {
                change += momentum * rewritten[2].data[i];
                rewritten[2].data[i] = change;
            }
            rewritten[0].data[i] -= change;
        }
        rewritten
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let step = Step { rates: [0.01; 4], ..Step::default() };
    let mut cases = Vec::new();
    for (momentum, centered, inner) in
        [(0.0, false, 0.0), (0.0, false, 1e-3), (0.9, false, 0.0), (0.0, true, 0.0), (0.9, true, 0.0)]
    {
        for count in [1, 3, 257, 260] {
            let op = RmsProp { rho: 0.9, momentum, inner, outer: 1e-4, centered };
            let mut old: Vec<Array> = (0..=op.moments()).map(|i| Array::random([count], 2 + i as u64)).collect();
            // A mean square is not below the square of the mean.
            old[1].data.iter_mut().for_each(|v| *v += 2.5);
            let name = format!("rmsprop momentum {momentum} centered {centered} inner {inner} [{count}]");
            cases.push(Case::new(name, op, vec![Array::random([count], 1)]).rewriting(old).at(step));
        }
    }
    cases
}
