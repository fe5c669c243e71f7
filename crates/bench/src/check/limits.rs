//! A training whose tensors do not fit into the device's bindings.

use super::{Check, Outcome, twice};

/// Less than what the first layer of the network gives for a batch, and than all weights together.
const BYTES: u64 = 512 << 10;

/// A training in windows must end with the bits of one in whole tensors.
pub fn check() -> Check {
    Check::new("a training in small bindings", |device| {
        let small = device.with_binding_limit(BYTES)?;
        let problems = twice::different(&twice::train(device)?, &twice::train(&small)?);
        Ok(Outcome { extent: format!("{} KiB", BYTES >> 10), error: None, problems })
    })
}
