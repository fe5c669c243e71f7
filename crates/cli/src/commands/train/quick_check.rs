//! Checks that images fit the network, and both the memory, before any image is decoded.

use super::Arguments;
use crate::commands::network::{self, Known};
use crate::commands::{devices, source};
use crate::error::Error;

/// # Errors
/// If images do not have the network's input shape, or the model or a batch exceeds the device's free memory. If that
/// is unknown before the data are read, there is no error.
pub fn check(arguments: &Arguments) -> Result<(), Error> {
    let Some((shape, classes)) = source::described(arguments.data(), &arguments.images)? else { return Ok(()) };
    let model = match Known::named(&arguments.model) {
        Some(known) => known.build(shape.clone(), classes),
        None => network::single(network::find(&arguments.model)?)?,
    };
    if *model.input_shape() != shape {
        let (expected, found) = (format!("samples {}", model.input_shape()), format!("samples {shape}"));
        return Err(kiln::Error::Misfit { model: model.name().to_owned(), expected, found }.into());
    }
    let device = devices::open(arguments.device.as_deref())?;
    let compile = arguments.compile(arguments.batch_size as usize)?;
    Ok(model.check_memory(&device, &compile, arguments.batch_size as usize)?)
}
