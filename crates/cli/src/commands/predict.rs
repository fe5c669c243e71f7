//! `kiln predict`: what a network makes of pictures or of tensors.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kiln::data::Preprocessing;
use kiln::models::imagenet_class_names;
use kiln::{Device, Model};
use serde_json::{Value, json};

use super::network::{self, Known};
use super::run::Run;
use super::weights::Weights;
use super::{devices, pictures};
use crate::error::Error;
use crate::tensors;

/// Show what a trained network takes pictures for, or run a network on tensors.
///
/// Pictures (PNG, JPEG, GIF, BMP, WebP) are resized to what the network takes, as Keras' load_img does: the nearest
/// pixel, without keeping the aspect ratio. vgg16 and inception_v3 tell the classes of ImageNet, with weights that someone
/// trained. A network in a model.json that `kiln train` did not leave runs on tensors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln predict runs/cifar-deep cat.jpg dog.png
  kiln predict runs/cifar-deep cat.jpg --top 3 --json
  kiln predict inception_v3 --weights inception_v3.safetensors photo.jpg
  kiln predict model.json --weights w.safetensors --input x.safetensors --output y.safetensors

The file of --input has a tensor x [samples, …] of f32 or u8, which the network sees as it is; that of --output gets y,
what the network gives for each sample.")]
pub struct Arguments {
    /// The folder that `kiln train` or `kiln finetune` left, a model.json, vgg16 or inception_v3.
    model: PathBuf,
    /// The pictures.
    #[arg(required_unless_present = "input")]
    images: Vec<PathBuf>,
    /// The weights: safetensors, Keras' HDF5, or a file of the Hugging Face hub [default: weights.safetensors beside
    /// model.json].
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    weights: Option<Weights>,
    /// What photographs go through before vgg16 or inception_v3 sees them: caffe, tf or torch, as in Keras [default: Keras'
    /// for the network; vgg16 with torchvision's weights takes torch].
    #[arg(long, value_name = "MODE")]
    preprocessing: Option<Preprocessing>,
    /// Run on the tensor x of this safetensors file.
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "images")]
    input: Option<PathBuf>,
    /// Write what comes out as the tensor y of this safetensors file.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// How many classes to show for each picture.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    top: u32,
    /// Write JSON: for each picture its file and the classes with their probabilities.
    #[arg(long)]
    json: bool,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (mut model, run) = find(arguments)?;
    let device = devices::open(arguments.device.as_deref())?;
    model.to_device(&device)?;
    match (&arguments.input, &arguments.output) {
        (Some(input), Some(output)) => on_tensors(&mut model, &device, input, output),
        _ => on_pictures(&mut model, arguments, &run),
    }
}

/// The network, and what is known of its training.
fn find(arguments: &Arguments) -> Result<(Model, Run), Error> {
    if let Some(known) = arguments.model.to_str().and_then(Known::named)
        && let Some(backbone) = &known.backbone
    {
        let no_weights = || Error::NoWeights { model: known.name.to_owned() };
        let mut model = known.build(known.input_shape, known.classes);
        model.load_weights(arguments.weights.as_ref().ok_or_else(no_weights)?.path()?)?;
        let classes = imagenet_class_names().into_iter().map(str::to_owned).collect();
        let preprocessing = Some(arguments.preprocessing.unwrap_or(backbone.preprocessing));
        return Ok((model, Run { classes, preprocessing, ..Run::default() }));
    }
    let Some(path) = network::file(&arguments.model) else {
        return Err(Error::NoRun { found: arguments.model.clone() });
    };
    let mut model = Model::from_json_file(&path)?;
    let beside = Weights::File(path.with_file_name("weights.safetensors"));
    model.load_weights(arguments.weights.as_ref().unwrap_or(&beside).path()?)?;
    let run = Run::load(path.parent().unwrap_or(Path::new(".")))?.unwrap_or_default();
    let preprocessing = arguments.preprocessing.or(run.preprocessing);
    Ok((model, Run { preprocessing, ..run }))
}

fn on_tensors(model: &mut Model, device: &Device, input: &Path, output: &Path) -> Result<ExitCode, Error> {
    let data = tensors::samples(input)?;
    let predictions = model.predict(&data)?;
    tensors::write(output, "y", &predictions.shape, &predictions.values)?;
    println!("{} samples on {}: y {} in {}", data.len(), device.info().name, predictions.shape, output.display());
    Ok(ExitCode::SUCCESS)
}

fn on_pictures(model: &mut Model, arguments: &Arguments, run: &Run) -> Result<ExitCode, Error> {
    let [scale, offset] = run.rescale;
    let data = run.standardized(pictures::load(model, &arguments.images)?.rescaled(scale, offset), None)?;
    let predictions = model.predict(&data)?;
    let rows = arguments.images.iter().zip(predictions.rows());
    let found: Vec<(&PathBuf, Vec<(String, f32)>)> =
        rows.map(|(image, row)| (image, best(row, &run.classes, arguments.top as usize))).collect();
    let text = if arguments.json { as_json(&found) } else { as_table(&found) };
    super::show(&text);
    Ok(ExitCode::SUCCESS)
}

/// The classes with the largest values, the largest first: name (or number, if there are no names) and value.
fn best(row: &[f32], classes: &[String], count: usize) -> Vec<(String, f32)> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    order.into_iter().take(count).map(|class| (name(class), row[class])).collect()
}

fn as_table(found: &[(&PathBuf, Vec<(String, f32)>)]) -> String {
    let names = found.iter().flat_map(|(_, classes)| classes.iter().map(|(name, _)| name.chars().count()));
    let width = names.max().unwrap_or_default();
    let mut text = String::new();
    for (image, classes) in found {
        text += &format!("{}\n", image.display());
        for (name, probability) in classes {
            text += &format!("  {name:<width$} {:>6.2} %\n", 100.0 * probability);
        }
    }
    text
}

fn as_json(found: &[(&PathBuf, Vec<(String, f32)>)]) -> String {
    let class = |(name, probability): &(String, f32)| json!({"class": name, "probability": probability});
    let image = |(image, classes): &(&PathBuf, Vec<(String, f32)>)| json!({"image": image.display().to_string(), "classes": classes.iter().map(class).collect::<Vec<Value>>()});
    let images: Vec<Value> = found.iter().map(image).collect();
    format!("{:#}\n", Value::Array(images))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_values_come_first_and_equal_ones_in_the_order_of_the_classes() {
        let names: Vec<String> = ["cat", "dog", "frog"].map(str::to_owned).into();
        let found = best(&[0.2, 0.6, 0.2], &names, 2);
        assert_eq!(found, [("dog".to_owned(), 0.6), ("cat".to_owned(), 0.2)]);
        assert_eq!(best(&[0.0, 1.0], &[], 5), [("1".to_owned(), 1.0), ("0".to_owned(), 0.0)]);
    }

    #[test]
    fn tables_and_json_name_the_picture_and_its_classes() {
        let path = PathBuf::from("cat.jpg");
        let found = [(&path, vec![("cat".to_owned(), 0.75), ("airplane".to_owned(), 0.25)])];
        assert_eq!(as_table(&found), "cat.jpg\n  cat       75.00 %\n  airplane  25.00 %\n");
        let json: Value = serde_json::from_str(&as_json(&found)).unwrap_or_default();
        assert_eq!(json[0]["classes"][0], json!({"class": "cat", "probability": 0.75}));
    }
}
