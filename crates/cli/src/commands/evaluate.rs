//! `kiln evaluate`: how well a trained network does.

use std::path::PathBuf;
use std::process::ExitCode;

use kiln::{Compile, Loss, Sequential};

use super::run::Run;
use super::{devices, source};
use crate::error::Error;

/// Evaluate a trained network on test images.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln evaluate runs/lenet
  kiln evaluate runs/lenet --data fashion-mnist")]
pub struct Arguments {
    /// The folder that `kiln train` left.
    run: PathBuf,
    /// The images, as `kiln train` takes them [default: what the network was trained on]. Images in folders are resized
    /// to what the network takes.
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Leave out images that cannot be decoded, with a warning, instead of ending with an error.
    #[arg(long)]
    skip_corrupt: bool,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    if !arguments.run.join("model.json").is_file() {
        return Err(Error::NoRun { found: arguments.run.clone() });
    }
    let mut model = Sequential::load(&arguments.run)?;
    let trained = Run::load(&arguments.run)?.map(|run| run.data);
    let data = arguments.data.clone().or(trained).unwrap_or_else(|| "mnist".to_owned());
    let images = source::Images::for_model(model.input_shape(), arguments.skip_corrupt);
    let samples = source::load(&data, &images)?;
    let test = samples.test.unwrap_or(samples.train);
    let device = devices::open(arguments.device.as_deref())?;
    model.compile(&device, Compile { loss: Loss::SparseCategoricalCrossentropy, ..Compile::default() })?;
    let score = model.evaluate(&test)?;
    let right = (score.accuracy * test.len() as f64).round();
    println!("{} test images of {data} on {}", test.len(), device.info().name);
    println!("loss {:.4}, accuracy {:.4} ({right} right)", score.loss, score.accuracy);
    Ok(ExitCode::SUCCESS)
}
