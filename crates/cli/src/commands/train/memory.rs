//! Whether a training may fit the memory: told before photographs are decoded.

use super::Arguments;
use crate::commands::network::{self, Known};
use crate::commands::{devices, source};
use crate::error::Error;

/// # Errors
/// When the model, or a batch of it, is larger than the free memory of the device. Where that is not known before all
/// data are read, nothing is said.
pub fn check(arguments: &Arguments) -> Result<(), Error> {
    let Some((shape, classes)) = source::described(arguments.data(), &arguments.images)? else { return Ok(()) };
    let model = match Known::named(&arguments.model) {
        Some(known) => known.build(shape, classes),
        None => network::find(&arguments.model)?,
    };
    let device = devices::open(arguments.device.as_deref())?;
    let compile = arguments.compile(arguments.batch_size as usize)?;
    Ok(model.check_memory(&device, &compile, arguments.batch_size as usize)?)
}
