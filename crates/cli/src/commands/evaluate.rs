//! `kiln evaluate`: how well a trained network does.

use std::path::PathBuf;
use std::process::ExitCode;

use kiln::{Compile, ConfusionMatrix, Model};

use super::run::{Run, usual_loss};
use super::{devices, source};
use crate::error::Error;
use crate::progress::words;

/// Of more classes than this, it is not shown which is taken for which.
const MOST_CLASSES: usize = 32;

/// Evaluate a trained network on test images.
///
/// Tells loss and accuracy, and of up to 32 classes how often each was taken for which: a row for each class, a column for
/// each class that it was taken for.
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
    let mut model = Model::load(&arguments.run)?;
    let trained = Run::load(&arguments.run)?.unwrap_or_default();
    let known = Some(trained.data.clone()).filter(|data| !data.is_empty());
    let data = arguments.data.clone().or(known).unwrap_or_else(|| "mnist".to_owned());
    let images = source::Images::for_model(model.input_shape(), arguments.skip_corrupt);
    let samples = source::load(&data, &images)?;
    let test = samples.test.unwrap_or_else(|| samples.train.clone());
    let test = trained.standardized(test, Some(&samples.train))?;
    let device = devices::open(arguments.device.as_deref())?;
    model.compile(&device, Compile { loss: usual_loss(&test), ..Compile::default() })?;
    let score = model.evaluate(&test)?;
    let right = (score.accuracy() * test.len() as f64).round();
    println!("{} test images of {data} on {}", test.len(), device.info().name);
    println!("{} ({right} right)", words(&score.figures()));
    let predictions = model.predict(&test)?;
    let classes = predictions.shape.sample().elements();
    if (2..=MOST_CLASSES).contains(&classes) {
        let matrix = ConfusionMatrix::new(&test.labels().class_indices(), &predictions.classes(), classes)?;
        println!("\n{}", matrix.with_class_names(test.class_names()));
    }
    Ok(ExitCode::SUCCESS)
}
