//! `y[i] = x[i] / (1 - rate)` with probability `1 - rate`, else 0.

use kiln_graph::{
    Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Shape, Step, TensorType, linear_workgroups,
};

use crate::case::Case;
use crate::kernels::dropout as kernel;
use crate::random::{random4, uniform_of};

/// Dropout (Srivastava et al. 2014), inverted: `[N, …] -> [N, …]`. What is dropped follows from the step's key, the stream
/// and the place of an element in the whole batch, so the gradient draws it again: it is this very op.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The share that is dropped, below 1.
    pub rate: f32,
    /// A number of its own for each dropout of a network.
    pub stream: u32,
}

impl Dropout {
    fn scale(&self) -> f32 {
        1.0 / (1.0 - self.rate)
    }

    /// Whether an element of the whole batch is kept.
    fn keeps(&self, i: usize, step: &Step) -> bool {
        // One draw of four words for the elements i, i + 64, i + 128 and i + 192 of each 256.
        let lanes = 64;
        let (block, within) = (i / (4 * lanes), i % (4 * lanes));
        let draws = random4((block * lanes + within % lanes) as u32, self.stream, step.key);
        uniform_of(draws[within / lanes]) >= f64::from(self.rate)
    }
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        match inputs {
            [x] if x.dtype == DType::F32 => Ok(vec![x.clone()]),
            _ => Err(Error::inputs(self.name(), "one f32 tensor", inputs)),
        }
    }

    fn pieces(&self) -> Pieces {
        Pieces::Elements
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let count = lowering.shape(x).elements();
        let first = lowering.first() as u32 / (4 * kernel::LANES);
        // A window does not know its samples.
        let sample = lowering.whole_shape().map_or(0, sample_of) as u32;
        let (stream, rate, scale) = (self.stream, self.rate, self.scale());
        let params = kernel::Params { count: count as u32, first, sample, stream, rate, scale };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 4 * kernel::LANES)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(*self, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let before = step.place as usize * sample_of(inputs[0].shape());
        let kept = |(i, &x): (usize, &f64)| {
            if x.is_nan() || self.keeps(before + i, step) { x * f64::from(self.scale()) } else { 0.0 }
        };
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().enumerate().map(kept).collect())]
    }
}

/// Elements of a sample.
fn sample_of(shape: &Shape) -> usize {
    shape.sample().elements()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    // Shards: samples of whole blocks of 256 elements, and others, whose draws start anywhere.
    for (shape, place) in
        [([3, 256], 5), ([7, 64], 3), ([5, 129], 7), ([11, 37], 1), ([300, 3], 1000), ([2, 300], 10_000_000)]
    {
        let op = Dropout { rate: 0.5, stream: 2 };
        let step = Step { key: [3, 0x8000_0001], place, ..Step::default() };
        let x = vec![Array::random(shape, 1)];
        let name = format!("dropout of {shape:?} from sample {place} on");
        cases.push(Case::new(name, op, x).at(step).differentiable(&[0]));
    }
    for (rate, stream) in [(0.0, 0), (0.25, 1), (0.5, 7)] {
        for count in [1, 3, 257, 2000] {
            let op = Dropout { rate, stream };
            let step = Step { key: [3, 0x8000_0001], ..Step::default() };
            let x = vec![Array::random([count], 1)];
            cases.push(Case::new(format!("dropout {rate} [{count}]"), op, x).at(step).differentiable(&[0]));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of 100,000 elements are kept.
    fn kept(stream: u32, key: [u32; 2]) -> Vec<bool> {
        let step = Step { key, ..Step::default() };
        (0..100_000).map(|i| Dropout { rate: 0.25, stream }.keeps(i, &step)).collect()
    }

    fn share(agree: impl Iterator<Item = bool>) -> f64 {
        agree.map(|agrees| if agrees { 1e-5 } else { 0.0 }).sum()
    }

    #[test]
    fn the_given_share_is_dropped() {
        for key in [[0, 0], [1, 0], [0, 1], [u32::MAX, 77]] {
            assert!((share(kept(1, key).into_iter()) - 0.75).abs() < 0.005);
        }
    }

    #[test]
    fn steps_streams_and_neighbours_are_independent() {
        // Two independent masks agree in 0.75² + 0.25² of their places.
        let first = kept(1, [5, 6]);
        let shifted = |by: usize| first.iter().skip(by).copied().collect::<Vec<bool>>();
        let others = [kept(2, [5, 6]), kept(1, [6, 6]), kept(1, [5, 7]), shifted(1), shifted(64), shifted(256)];
        for other in others {
            let agree = share(first.iter().zip(&other).map(|(a, b)| a == b));
            assert!((agree - 0.625).abs() < 0.006, "{agree}");
        }
    }
}
