//! `y[n] = low + (high - low) u` with a uniform draw `u` for each sample.

use kiln_graph::{Array, Error, Lowering, Op, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::uniform_draw as kernel;
use crate::random::{random4, uniform_of};

/// A number in `[low, high)` for each sample of a batch: `() -> [N]`. It depends on the step's key, the stream and the place
/// of the sample in the whole batch.
#[derive(Clone, Copy, Debug)]
pub struct UniformDraw {
    /// N, the samples.
    pub samples: usize,
    /// The lower bound.
    pub low: f32,
    /// The upper bound, which is not drawn unless it is the lower bound, too.
    pub high: f32,
    /// A number of its own for each random layer of a network.
    pub stream: u32,
}

impl Op for UniformDraw {
    fn name(&self) -> &'static str {
        "uniform_draw"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [] => Ok(vec![TensorType::f32([self.samples])]),
            _ => Err(Error::inputs(self.name(), "no tensor", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let y = lowering.outputs()[0];
        let UniformDraw { samples, low, high, stream } = *self;
        let params = kernel::Params { count: samples as u32, stream, low, high };
        lowering.push(kernel::Forward { y }.call(params, linear_workgroups(samples, 256)));
        Ok(())
    }

    fn reference(&self, _: &[&Array], step: &Step) -> Vec<Array> {
        let [low, high] = [self.low, self.high].map(f64::from);
        let draw = |n: u32| low + (high - low) * uniform_of(random4(step.place + n, self.stream, step.key)[0]);
        vec![Array::f32([self.samples], (0..self.samples as u32).map(draw).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(samples, low, high, place): (usize, f32, f32, u32)| {
        let step = Step { key: [3, 0x8000_0001], place, ..Step::default() };
        let name = format!("uniform_draw of {samples} samples from {place} on, {low} to {high}");
        Case::new(name, UniformDraw { samples, low, high, stream: 2 }, vec![]).at(step)
    };
    [(1, 0.5, 0.5, 0), (3, -1.0, 2.0, 7), (257, 0.75, 1.25, 1_000_000)].map(case).into()
}
