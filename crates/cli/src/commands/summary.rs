//! `kiln summary`: the layers of a network.

use std::process::ExitCode;

use super::network;
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
    /// The network: lenet, cifar10_simple, cifar10_deep, vgg16, inception_v3, resnet50, mobilenet_v2, efficientnet_b0,
    /// or torchvision/ before one of the last three, the output folder of `kiln train`, a model.json,
    /// or a .keras, .h5 or .onnx file of a whole model.
    model: String,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    super::show(&format!("{}\n", network::find(&arguments.model)?.summary()));
    Ok(ExitCode::SUCCESS)
}
