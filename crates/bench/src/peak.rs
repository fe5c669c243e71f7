//! The peak performance of a device, measured by the code that runs every kernel.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kiln::graph::{Array, Error, Lowering, Op, Step, TensorType};
use kiln::ops::Copy;
use kiln::{Device, OpProgram, Result};
use serde::Serialize;

use crate::kernels::multiply_adds as kernel;

/// The size of the copy, larger than caches: the largest binding of every device.
const COPIED: usize = 128 << 20;
/// The number of runs, of which the best is reported.
const RUNS: usize = 10;
/// The minimum time of the loop of multiply-adds, which dwarfs the time of a submission.
const LONG_ENOUGH: Duration = Duration::from_millis(20);
/// The loop's number of workgroups is a multiple of this.
const FEWEST: usize = 64;
const MOST: usize = 32_768;

/// A device's peak, as measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Peak {
    /// Floating-point operations per second in a loop of multiply-adds, each of which counts as two.
    pub flops_per_second: f64,
    /// Bytes per second of a large copy, reads and writes together.
    pub bytes_per_second: f64,
}

impl Peak {
    /// Measures both, in a few seconds on a slow device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn measure(device: &Device) -> Result<Peak> {
        let input = [Array::random([SIZE], 1)];
        let mut workgroups = FEWEST;
        let multiply_adds = loop {
            let mut program = OpProgram::new(device, Arc::new(MultiplyAdds { workgroups }), &input, &[])?;
            program.run(1)?;
            if workgroups >= MOST || program.run(1)? >= LONG_ENOUGH {
                break program;
            }
            workgroups *= 2;
        };
        let flops = multiply_adds.flops() as f64;
        let copy = OpProgram::new(device, Arc::new(Copy), &[Array::zeros([COPIED / 4])], &[])?;
        let bytes = copy.bytes() as f64;
        Ok(Peak { flops_per_second: flops / fastest(multiply_adds)?, bytes_per_second: bytes / fastest(copy)? })
    }

    /// The change between two measurements: the larger of the ratios of their figures, 1 or more.
    pub fn change(self, other: Peak) -> f64 {
        let ratio = |a: f64, b: f64| (a / b).max(b / a);
        let flops = ratio(self.flops_per_second, other.flops_per_second);
        flops.max(ratio(self.bytes_per_second, other.bytes_per_second))
    }

    /// The better of two measurements.
    pub fn max(self, other: Peak) -> Peak {
        Peak {
            flops_per_second: self.flops_per_second.max(other.flops_per_second),
            bytes_per_second: self.bytes_per_second.max(other.bytes_per_second),
        }
    }
}

/// `peak 235 GFLOP/s and 60.8 GB/s`
impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (flops, bytes) = (self.flops_per_second * 1e-9, self.bytes_per_second * 1e-9);
        write!(f, "peak {flops:.0} GFLOP/s and {bytes:.1} GB/s")
    }
}

/// The fastest of several runs after a warm-up, in seconds.
fn fastest(mut program: OpProgram) -> Result<f64> {
    program.run(1)?;
    (0..RUNS).try_fold(f64::INFINITY, |best, _| Ok(program.run(1)?.as_secs_f64().min(best)))
}

/// Invocations per workgroup.
const SIZE: usize = kernel::SIZE as usize;

/// `y[i]` is the sum of chains of multiply-adds that start at `x[i mod 64]`; see `multiply_adds.wgsl`.
#[derive(Debug)]
struct MultiplyAdds {
    workgroups: usize,
}

impl Op for MultiplyAdds {
    fn name(&self) -> &'static str {
        "multiply_adds"
    }

    fn infer(&self, inputs: &[TensorType]) -> kiln::graph::Result<Vec<TensorType>> {
        match inputs {
            [x] if *x == TensorType::f32([SIZE]) => Ok(vec![TensorType::f32([self.workgroups * SIZE])]),
            _ => Err(Error::inputs(self.name(), "f32 x [64]", inputs)),
        }
    }

    fn lower(&self, lowering: &mut Lowering) -> kiln::graph::Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let call = kernel::Main { x, y }.call([self.workgroups as u32, 1, 1]);
        lowering.push(call.flops(2 * self.workgroups * SIZE * (kernel::CHAINS * kernel::LENGTH) as usize));
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        let sum = |x: f64| {
            let [factor, term] = [kernel::FACTOR, kernel::TERM].map(f64::from);
            let chain = |start: f64| (0..kernel::LENGTH).fold(start, |value, _| value * factor + term);
            (0..kernel::CHAINS).map(|i| chain(x + f64::from(i))).sum()
        };
        let of_a_workgroup: Vec<f64> = inputs[0].data.iter().map(|&x| sum(x)).collect();
        let values = of_a_workgroup.iter().cycle().take(self.workgroups * SIZE).copied().collect();
        vec![Array::f32([self.workgroups * SIZE], values)]
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Checks that the loop computes its formula.
    #[test]
    fn the_loop_of_multiply_adds_computes_what_it_says() {
        let (device, x) = (Device::cpu().unwrap(), Array::random([SIZE], 1));
        let op = MultiplyAdds { workgroups: 2 };
        let mut program = OpProgram::new(&device, Arc::new(op), std::slice::from_ref(&x), &[]).unwrap();
        program.run(1).unwrap();
        let expected = MultiplyAdds { workgroups: 2 }.reference(&[&x], &Step::default());
        let error = program.results().unwrap()[0].relative_error(&expected[0]);
        assert!(error < 1e-4, "{error:.1e}; chains half as long would be off by half");
    }
}
