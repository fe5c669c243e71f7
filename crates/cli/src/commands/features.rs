//! `kiln features`: the outputs of an intermediate layer for pictures.

use std::path::PathBuf;
use std::process::ExitCode;

use kiln::data::{Interpolation, Preprocessing};
use kiln::models::Top;

use super::devices;
use super::network::{self, Known};
use super::pictures::Reader;
use super::weights::Weights;
use crate::error::Error;
use crate::tensors;

/// Write the outputs of a backbone's layer for pictures.
///
/// The pictures are resized to --image-size, by default the size that the backbone was trained with, and preprocessed
/// as in Keras.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln features vgg16 --layer block4_pool --weights vgg16.safetensors elephant.jpg --out features.safetensors
  kiln summary vgg16                # lists the names of its layers

The --out file has a tensor x [pictures, …] of f32. With labels y added, it is an input of `kiln train MODEL.json --data`.")]
pub struct Arguments {
    #[arg(help = format!("The backbone: {}", Known::backbone_names()))]
    model: String,
    /// The pictures.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// The layer, by its name.
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// The pretrained weights; those of the classifier layers may be missing.
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    weights: Weights,
    /// The safetensors file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Resize pictures to this height and width, for example 150x150.
    #[arg(long, value_parser = super::source::size, value_name = "HxW")]
    image_size: Option<[usize; 2]>,
    /// The interpolation of resized pictures: nearest, bilinear, bicubic, lanczos, box or hamming [default: nearest, as
    /// Keras' load_img; `kiln finetune` uses bilinear].
    #[arg(long, value_name = "NAME")]
    interpolation: Option<Interpolation>,
    /// The preprocessing of pictures: caffe, tf or torch, as in Keras [default: Keras' for the network; use torch for
    /// torchvision's vgg16].
    #[arg(long, value_name = "MODE")]
    preprocessing: Option<Preprocessing>,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (known, backbone) = Known::backbone(&arguments.model)?;
    let [height, width, channels] = known.input_shape;
    let [height, width] = arguments.image_size.unwrap_or([height, width]);
    let mut body = (backbone.build)([height, width, channels].into(), Top::None);
    if body.get_layer(&arguments.layer).is_err() {
        // The layer may be in the classifier, which requires images of the default size.
        body = known.build([height, width, channels], known.classes);
    }
    let mut model = body.sub_model(body.get_layer(&arguments.layer)?.output)?;
    network::load_backbone(&mut model, &arguments.weights)?;
    let device = devices::open(arguments.device.as_deref())?;
    model.to_device(&device)?;
    let reader = Reader::new(&model, arguments.interpolation.unwrap_or_default())?;
    let data = reader.read_all(&arguments.images)?;
    let data = match arguments.preprocessing.or(backbone.preprocessing) {
        Some(preprocessing) => data.preprocess_input(preprocessing)?,
        None => data,
    };
    let features = model.predict(&data)?;
    if let Some(sample) = features.first_non_finite() {
        return Err(Error::NonFinitePrediction { of: arguments.images[sample].display().to_string() });
    }
    tensors::write(&arguments.out, "x", &features.shape, &features.values)?;
    let (device, out) = (&device.info().name, arguments.out.display());
    println!("{} of {} on {device}: x {} in {out}", arguments.layer, known.name, features.shape);
    Ok(ExitCode::SUCCESS)
}
