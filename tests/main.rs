//! What Kiln promises, on a device: `KILN_DEVICE` chooses which. `cargo xtask test` runs all on the processor and on a
//! driver's device.

#![allow(clippy::unwrap_used, clippy::panic)]

mod batch_normalization;
mod bench;
mod common;
mod errors;
mod fit;
mod fixtures;
mod native;
mod ops;
mod portability;
mod recorder;
mod replay;
mod resume;
mod session;
