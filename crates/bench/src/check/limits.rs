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
        for precision in Precision::ALL {
            let (whole, in_windows) = (twice::train(device, precision)?, twice::train(&small, precision)?);
            problems.extend(twice::different(&whole, &in_windows));
        }
        Ok(Outcome { extent: format!("{} KiB", BYTES >> 10), error: None, problems })
    })
}
