//! `kiln summary`: the layers of a network.

use std::path::Path;
use std::process::ExitCode;

use kiln::{Sequential, models};

use crate::error::Error;

/// Show the layers of a network, their shapes and parameters.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln summary lenet
  kiln summary runs/lenet
  kiln summary some/model.json      # as Keras' to_json writes it")]
pub struct Arguments {
    /// A network that Kiln knows (lenet), a folder that `kiln train` left, or a model.json.
    model: String,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    println!("{}", find(&arguments.model)?.summary());
    Ok(ExitCode::SUCCESS)
}

fn find(name: &str) -> Result<Sequential, Error> {
    let path = Path::new(name);
    let in_folder = path.join("model.json");
    match name {
        "lenet" => Ok(models::lenet([28, 28, 1], 10)),
        _ if path.is_file() => Ok(Sequential::from_json_file(path)?),
        _ if in_folder.is_file() => Ok(Sequential::from_json_file(in_folder)?),
        _ => Err(Error::NoModel { found: name.to_owned() }),
    }
}
