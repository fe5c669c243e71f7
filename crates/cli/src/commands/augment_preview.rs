//! `kiln augment-preview`: a preview of `--augment`.

use std::path::PathBuf;
use std::process::ExitCode;

use image::{ImageFormat, RgbImage};

use super::{augment, counted, devices, source};
use crate::error::Error;
use crate::files;

/// Preview the pictures that a training with --augment sees.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln augment-preview --data cifar10
  kiln augment-preview --data photos/ --augment rotation_range=40,zoom_range=0.2,fill_mode=reflect --out a.png")]
pub struct Arguments {
    /// The pictures, as for `kiln train --data`.
    #[arg(long, default_value = "cifar10", value_name = "NAME|PATH")]
    data: String,
    #[command(flatten)]
    images: source::Images,
    /// Leave out this share of the pictures, the validation set of a training.
    #[arg(long, default_value_t = 0.0, value_parser = super::train::arguments::share, value_name = "SHARE")]
    validation_split: f64,
    /// The augmentation: arguments of Keras' ImageDataGenerator as name=value, separated by commas.
    #[arg(long, value_name = "SPEC", default_value = augment::USUAL, num_args = 0..=1, default_missing_value = augment::USUAL)]
    augment: String,
    /// The number of rows and of columns.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=32), value_name = "N")]
    rows: u32,
    /// Show one picture many times instead of the first pictures of the data set.
    #[arg(long)]
    one: bool,
    /// The random seed.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// The PNG file to write.
    #[arg(long, default_value = "augment.png", value_name = "FILE")]
    out: PathBuf,
}

/// The minimum width and height in pixels, if integer multiples of the pictures' size allow it.
const SIDE: usize = 1000;

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let augmentation = augment::parse(&arguments.augment)?;
    let samples = source::load(&arguments.data, &arguments.images)?;
    let rows = arguments.rows as usize;
    let [train, _] = samples.split(arguments.validation_split);
    let shown = train.head(if arguments.one { 1 } else { rows * rows });
    let height = shown.sample_shape().first().copied().unwrap_or(1).max(1);
    let zoom = (SIDE / (rows * height)).clamp(1, 8);
    let device = devices::open(arguments.device.as_deref())?;
    let sheet = augmentation.preview(&device, &shown, [rows, rows], zoom, arguments.seed)?;

    let failed = |message: String| Error::Picture { path: arguments.out.clone(), message };
    let picture = RgbImage::from_raw(sheet.width as u32, sheet.height as u32, sheet.pixels)
        .ok_or_else(|| failed("its pixels do not fit its size".to_owned()))?;
    let staged = files::stage(&arguments.out)?;
    picture.save_with_format(staged.path(), ImageFormat::Png).map_err(|error| failed(error.to_string()))?;
    files::publish(staged, &arguments.out)?;
    println!("{} in {}: {}", counted(rows * rows, "pictures"), arguments.out.display(), arguments.augment);
    Ok(ExitCode::SUCCESS)
}
