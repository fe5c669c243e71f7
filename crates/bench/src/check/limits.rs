//! A training with tensors larger than the device's bindings.

use super::{Check, Outcome, twice};

/// Smaller than the first layer's output for a batch, and than all weights together.
const BYTES: u64 = 512 << 10;

/// A training in windows must be bit-identical to one with whole tensors.
pub fn check() -> Check {
    Check::new("a training in small bindings", |device| {
        let small = device.with_binding_limit(BYTES)?;
        let problems = twice::different(&twice::train(device)?, &twice::train(&small)?);
        Ok(Outcome { extent: format!("{} KiB", BYTES >> 10), error: None, problems })
    })
}
