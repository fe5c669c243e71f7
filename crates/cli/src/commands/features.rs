//! `kiln features`: what a layer in the middle of a network says of pictures.

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

/// Write what a layer of a backbone gives for pictures.
///
/// The pictures are resized to --image-size, by default what the backbone was trained with, and preprocessed as Keras does
/// for it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln features vgg16 --layer block4_pool --weights vgg16.safetensors elephant.jpg --out features.safetensors
  kiln summary vgg16                # the names of its layers

The file of --out has a tensor x [pictures, …] of f32: `kiln train MODEL.json --data` takes it, with labels y beside it.")]
pub struct Arguments {
    /// vgg16 or inception_v3.
    model: String,
    /// The pictures.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// The layer, by its name.
    #[arg(long, value_name = "NAME")]
    layer: String,
    /// The weights that someone trained; those of the layers that classify need not be there.
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    weights: Weights,
    /// Where the features go: a safetensors file.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The height and width that pictures are resized to, such as 150x150.
    #[arg(long, value_parser = super::source::size, value_name = "HxW")]
    image_size: Option<[usize; 2]>,
    /// How pictures are resized: nearest, bilinear, bicubic, lanczos, box or hamming [default: nearest, as Keras' load_img;
    /// `kiln finetune` takes bilinear].
    #[arg(long, value_name = "NAME")]
    interpolation: Option<Interpolation>,
    /// What pictures go through first: caffe, tf or torch, as in Keras [default: Keras' for the network; vgg16 with
    /// torchvision's weights takes torch].
    #[arg(long, value_name = "MODE")]
    preprocessing: Option<Preprocessing>,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (known, backbone) = Known::backbone(&arguments.model)?;
    let [height, width, channels] = known.input_shape;
    let [height, width] = arguments.image_size.unwrap_or([height, width]);
    let mut body = (backbone.build)([height, width, channels].into(), Top::None);
    if body.get_layer(&arguments.layer).is_err() {
        // It may be one of those that classify, which only take images of the usual size.
        body = known.build([height, width, channels], known.classes);
    }
    let mut model = body.sub_model(body.get_layer(&arguments.layer)?.output)?;
    network::load_backbone(&mut model, &arguments.weights)?;
    let device = devices::open(arguments.device.as_deref())?;
    model.to_device(&device)?;
    let preprocessing = arguments.preprocessing.unwrap_or(backbone.preprocessing);
    let reader = Reader::new(&model, arguments.interpolation.unwrap_or_default())?;
    let data = reader.read_all(&arguments.images)?.preprocess_input(preprocessing)?;
    let features = model.predict(&data)?;
    if let Some(sample) = features.first_non_finite() {
        return Err(Error::NonFinitePrediction { of: arguments.images[sample].display().to_string() });
    }
    tensors::write(&arguments.out, "x", &features.shape, &features.values)?;
    let (device, out) = (&device.info().name, arguments.out.display());
    println!("{} of {} on {device}: x {} in {out}", arguments.layer, known.name, features.shape);
    Ok(ExitCode::SUCCESS)
}
