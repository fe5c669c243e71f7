//! `kiln profile`: the time of each kernel in a training step.

mod trace;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use kiln::graph::DeviceKind;
use kiln::losses::{self, BinaryCrossentropy, Loss, SparseCategoricalCrossentropy};
use kiln::{Compile, Device, Fit, Model, Precision};
use kiln_bench::{Encoding, made_up};

use super::network::Known;
use super::run::{Run, loss_with};
use super::{augment, counted, devices, network, show};
use crate::error::Error;
use crate::progress::rate;
use crate::{files, plot};

/// Profile the kernels of a training step.
///
/// Trains on made-up samples and times each kernel call, by the device's clock if it has one, else by the host's.
/// Prints a table of the calls, one of the kernels, and the time that the host needs to submit a step (without
/// augmentation), and writes trace.json (for Perfetto or chrome://tracing) and profile.svg (a diagram of the step; in a
/// browser, each box has a tooltip) to --out.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln profile lenet
  kiln profile cifar10_deep --augment
  kiln profile cifar10_deep --precision mixed
  kiln profile vgg16 --batch-size 4 --device nvidia
  kiln profile model.json --loss mean_squared_error --out profiles/mine")]
pub struct Arguments {
    #[arg(help = format!("The network: {}, the output folder of `kiln train`, or a model.json", Known::names()))]
    model: String,
    /// The batch size [default: 128, or 8 if a sample has more than 10,000 values].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "N")]
    batch_size: Option<u32>,
    /// The precision of matrix products and convolutions, as of `kiln train`.
    #[arg(long, default_value_t = Precision::Float32, value_name = "float32|mixed")]
    precision: Precision,
    /// The number of steps to time, after a warm-up step.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "N")]
    steps: u32,
    /// The loss, by its Keras name [default: the run's; else categorical cross-entropy, or binary for a network with
    /// one output].
    #[arg(long, value_parser = losses::from_name, value_name = "NAME")]
    loss: Option<Arc<dyn Loss>>,
    /// The network's outputs are logits, not probabilities.
    #[arg(long)]
    from_logits: bool,
    /// Augment the images in each step, as `kiln train --augment` does.
    #[arg(long, value_name = "SPEC", num_args = 0..=1, default_missing_value = augment::USUAL)]
    augment: Option<String>,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// The folder for trace.json and profile.svg [default: profiles/MODEL].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Arguments {
    fn batch_size(&self, model: &Model) -> usize {
        let usual = if model.input_shape().elements() > 10_000 { 8 } else { 128 };
        self.batch_size.map_or(usual, |size| size as usize)
    }

    /// The loss: by default, that of the run.
    fn loss(&self, model: &Model) -> Result<Arc<dyn Loss>, Error> {
        let run = Run::of_model(&self.model)?;
        let usual = || match model.output_shape()?.elements() {
            1 => Ok::<_, Error>(BinaryCrossentropy::default().into()),
            _ => Ok(SparseCategoricalCrossentropy::default().into()),
        };
        let loss = match (&self.loss, run) {
            (Some(loss), _) => loss.clone(),
            (None, Some(run)) => run.loss,
            (None, None) => usual()?,
        };
        if self.from_logits { loss_with(&*loss, [("from_logits", true.into())]) } else { Ok(loss) }
    }

    fn out(&self, model: &Model) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("profiles").join(model.name()))
    }
}

/// The time of the host for a step, as a line. Empty for the processor, which computes while it walks through the calls.
fn encoding(arguments: &Arguments, model: &Model, device: &Device, compile: &Compile) -> Result<String, Error> {
    // A step of a software driver takes seconds, and the samples of all steps are in memory.
    let most_steps = match device.info().kind {
        DeviceKind::Cpu => return Ok(String::new()),
        DeviceKind::Software => 1,
        _ => 4,
    };
    let steps = arguments.steps.min(most_steps) as usize;
    let measured = Encoding::measure(
        device,
        network::single(network::find(&arguments.model)?)?,
        compile.clone(),
        [arguments.batch_size(model), steps],
    )?;
    let without = if arguments.augment.is_some() { ", without augmentation" } else { "" };
    Ok(format!("{measured}{without}\n"))
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut model = network::single(network::find(&arguments.model)?)?;
    let augmentation = arguments.augment.as_deref().map(augment::parse).transpose()?;
    let (batch_size, out) = (arguments.batch_size(&model), arguments.out(&model));
    let loss = arguments.loss(&model)?;
    let data = made_up(&model, batch_size, &*loss)?;
    let augmentation = augmentation.map(|augmentation| augmentation.fit(&data)).transpose()?;
    let device = devices::open(arguments.device.as_deref())?;
    let compile = Compile { loss: loss.into(), precision: arguments.precision, ..Compile::default() };
    let encoding = encoding(arguments, &model, &device, &compile)?;
    model.compile(&device, compile)?;
    if augmentation.is_some() {
        // A profile uses the augmentation of the last training.
        model.fit(&data, Fit { batch_size, augmentation: augmentation.as_ref(), ..Fit::default() })?;
    }
    let profile = model.profile(&data, batch_size, arguments.steps as usize + 1)?;

    let (steps, seconds) = (arguments.steps, profile.seconds());
    let samples = counted(batch_size, "samples");
    let title = format!("A step of {}, {samples}, on {}", model.name(), device.info().name);
    show(&format!(
        "{title}\nmean of {}, by the {}\n\n{profile}\n{}\n{} samples/s in kernels\n{encoding}",
        counted(steps as usize, "steps"),
        profile.timing,
        profile.by_kernel(),
        rate(batch_size as f64 / seconds)
    ));
    std::fs::create_dir_all(&out).map_err(Error::file("make the folder", &out))?;
    let (trace, picture) = (out.join("trace.json"), out.join("profile.svg"));
    let mut staged = files::stage(&trace)?;
    write!(staged, "{}", trace::events(&profile, &title)).map_err(Error::file("write", &trace))?;
    files::publish(staged, &trace)?;
    let blocks = plot::Blocks::new(&model.summary().rows);
    plot::draw(&plot::Step { title: &title, profile: &profile, blocks: &blocks }, &picture)?;
    show(&format!("{} and {}\n", trace.display(), picture.display()));
    Ok(ExitCode::SUCCESS)
}
