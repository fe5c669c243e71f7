//! `kiln summary`: the layers of a network.

use std::process::ExitCode;

use super::network::{self, Known};
use crate::error::Error;

/// Show the layers of a network, their shapes and parameters.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln summary lenet
  kiln summary runs/lenet
  kiln summary vgg16
  kiln summary some/model.json      # as written by Keras' to_json
  kiln summary resnet50.keras")]
pub struct Arguments {
    #[arg(help = format!(
        "The network: {}, the output folder of `kiln train`, a model.json, or a .keras, .h5 or .onnx file of a whole model",
        Known::names()
    ))]
    model: String,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    super::show(&format!("{}\n", network::find(&arguments.model)?.summary()));
    Ok(ExitCode::SUCCESS)
}
