//! `y[i] = x[i] + stddev z` with a normal draw `z` for each element.

use kiln_graph::{Array, DType, Error, Gradient, Lowering, Op, Pieces, Result, Step, TensorType, linear_workgroups};

use crate::case::Case;
use crate::kernels::gaussian_noise as kernel;
use crate::random::{random4, uniform_of};

/// Adds noise with mean 0: `[N, …] -> [N, …]`. It depends on the step's key, the stream and the place of an element in the
/// whole batch.
#[derive(Clone, Copy, Debug)]
pub struct GaussianNoise {
    /// The standard deviation.
    pub stddev: f32,
    /// A number of its own for each random layer of a network.
    pub stream: u32,
}

impl GaussianNoise {
    /// The draw for an element of the whole batch.
    fn normal(&self, i: usize, step: &Step) -> f64 {
        let draws = random4(i as u32, self.stream, step.key);
        let radius = (-2.0 * (1.0 - uniform_of(draws[0])).ln()).sqrt();
        radius * (std::f64::consts::TAU * (uniform_of(draws[1]) - 0.5)).cos()
    }
}

impl Op for GaussianNoise {
    fn name(&self) -> &'static str {
        "gaussian_noise"
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
        // A window does not know its samples.
        let sample = lowering.whole_shape().map_or(0, |shape| shape.sample().elements()) as u32;
        let (first, stream, stddev) = (lowering.first() as u32, self.stream, self.stddev);
        let params = kernel::Params { count: count as u32, first, sample, stream, stddev };
        lowering.push(kernel::Forward { x, y }.call(params, linear_workgroups(count, 256)));
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            gradient.set(0, dy);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let before = step.place as usize * inputs[0].shape().sample().elements();
        let noisy = |(i, x): (usize, &f64)| x + f64::from(self.stddev) * self.normal(before + i, step);
        vec![Array::f32(inputs[0].shape().clone(), inputs[0].data.iter().enumerate().map(noisy).collect())]
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let case = |(shape, place): (&[usize], u32)| {
        let op = GaussianNoise { stddev: 0.5, stream: 2 };
        let step = Step { key: [3, 0x8000_0001], place, ..Step::default() };
        let name = format!("gaussian_noise {shape:?} from sample {place} on");
        Case::new(name, op, vec![Array::random(shape, 1)]).at(step).differentiable(&[0])
    };
    let cases: [(&[usize], u32); 4] = [(&[1], 0), (&[3, 5], 7), (&[257], 0), (&[300, 3], 1_000_000)];
    cases.map(case).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_normal() {
        let step = Step { key: [5, 6], ..Step::default() };
        let draw = |i| GaussianNoise { stddev: 1.0, stream: 1 }.normal(i, &step);
        let draws: Vec<f64> = (0..100_000).map(draw).collect();
        let moment = |power: i32| draws.iter().map(|z| z.powi(power)).sum::<f64>() / 1e5;
        for (power, expected, allowed) in [(1, 0.0, 0.01), (2, 1.0, 0.015), (3, 0.0, 0.04), (4, 3.0, 0.1)] {
            assert!((moment(power) - expected).abs() < allowed, "moment {power} is {}", moment(power));
        }
        let within = draws.iter().filter(|z| z.abs() < 1.0).count();
        assert!((within as f64 / 1e5 - 0.6827).abs() < 0.006, "{within}");
    }
}
