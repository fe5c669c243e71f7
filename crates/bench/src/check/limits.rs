//! A training with tensors larger than the device's bindings.

use kiln::Precision;

use super::{Check, Outcome, twice};

/// Smaller than the first layer's output for a batch, and than all weights together.
const BYTES: u64 = 512 << 10;

/// A training in windows must be bit-identical to one with whole tensors.
pub fn check() -> Check {
    Check::new("a training in small bindings", |device| {
        let small = device.with_binding_limit(BYTES)?;
        let mut problems = Vec::new();
        // Cooperative matrices add in another order than the tiles of tensors that do not fit in a binding.
        let comparable =
            |precision: &Precision| *precision == Precision::Float32 || !device.info().limits.cooperative_matrices;
        for precision in Precision::ALL.into_iter().filter(comparable) {
            let (whole, in_windows) = (twice::train(device, precision)?, twice::train(&small, precision)?);
            problems.extend(twice::different(&whole, &in_windows));
        }
        Ok(Outcome { extent: format!("{} KiB", BYTES >> 10), error: None, problems })
    })
}
