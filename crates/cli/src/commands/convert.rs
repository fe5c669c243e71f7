//! `kiln convert`: a model in another file format.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kiln::graph::Shape;
use kiln::{LoadModel, Model};

use super::network::{self, Known};
use super::run;
use super::weights::Weights;
use crate::error::Error;

/// Write a model or its weights in another file format, which follows from the name.
///
/// A whole model is read from a folder, a model.json (with its weights beside it or in --weights), a .keras or .h5 file of
/// Keras, or an .onnx file. Files are replaced as a whole, and only with --overwrite.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln convert runs/lenet lenet.keras                       # Keras opens it: keras.models.load_model
  kiln convert runs/lenet lenet.onnx                        # for ONNX Runtime and other runtimes
  kiln convert resnet18.onnx resnet18.keras                 # a convolutional network that PyTorch has exported
  kiln convert resnet50.keras runs/resnet50                 # model.json and weights.safetensors
  kiln convert old.h5 new.keras
  kiln convert runs/lenet lenet.h5                          # for programs that only read Keras' legacy format
  kiln convert model.json w.weights.h5 --weights w.safetensors
  kiln convert backbone.keras backbone.json --input-shape 224,224,3")]
pub struct Arguments {
    /// The model: a folder, a model.json, a .keras, .h5 or .onnx file of a whole model, or with --weights a built-in network.
    source: PathBuf,
    /// The result: NAME.keras, NAME.h5 (Keras' legacy format), NAME.onnx, NAME.weights.h5 or NAME.safetensors (weights only),
    /// NAME.json (layers only), or else a folder of model.json and weights.safetensors.
    target: PathBuf,
    /// The weights: safetensors, Keras' HDF5 or .keras, or a file of the Hugging Face hub [default: those of the model].
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    weights: Option<Weights>,
    /// The shape of a sample, for a model whose height and width are open.
    #[arg(long, value_name = "H,W,C", value_delimiter = ',')]
    input_shape: Vec<usize>,
    /// Replace an existing file, or the model in an existing folder.
    #[arg(long)]
    overwrite: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let target = &arguments.target;
    let ending = target.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_folder =
        target.is_dir() || !["keras", "onnx", "h5", "hdf5", "safetensors", "json"].contains(&ending.as_str());
    if is_folder && run::file(target).is_file() && !arguments.is_from(target) {
        let record = run::file(target);
        return Err(Error::Usage(format!(
            "{}: expected a folder without the record of a training, found {}, with the preprocessing and classes of \
             another model; choose another folder, or delete {}",
            target.display(),
            record.display(),
            record.display()
        )));
    }
    let exists = match is_folder {
        true => ["model.json", "weights.safetensors"].iter().any(|file| target.join(file).exists()),
        false => target.exists(),
    };
    if exists && !arguments.overwrite {
        return Err(Error::Exists { path: target.clone() });
    }
    let model = arguments.model(!is_folder && ending == "json")?;
    match ending.as_str() {
        _ if is_folder => model.save(target)?,
        "json" => kiln::files::write(target, model.to_json()?.as_bytes()).map_err(Error::file("write", target))?,
        "safetensors" => model.save_weights(target)?,
        "h5" | "hdf5" if target.to_string_lossy().to_lowercase().ends_with(".weights.h5") => {
            model.save_weights(target)?
        }
        _ => model.save(target)?,
    }
    let parameters = model.summary().parameters();
    println!("{}: {} with {parameters} parameters", target.display(), model.name());
    if run::file(&arguments.source).is_file() {
        println!(
            "the preprocessing of samples and the names of classes are in {}",
            run::file(&arguments.source).display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// The model with its weights, which are not needed for `only_layers`.
    fn model(&self, only_layers: bool) -> Result<Model, Error> {
        let shape = (!self.input_shape.is_empty()).then(|| Shape::from(self.input_shape.clone()));
        if let (Some(known), Some(weights)) = (self.source.to_str().and_then(Known::named), &self.weights) {
            let mut model = known.build(shape.unwrap_or(known.input_shape.into()), known.classes);
            model.load_weights(weights.path()?)?;
            return Ok(model);
        }
        let options = LoadModel { input_shape: shape, ..LoadModel::default() };
        let path = self.path();
        match only_layers {
            true => Ok(Model::from_json_file_with(path, options)?),
            false => network::load(&path, self.weights.as_ref(), options),
        }
    }

    /// Whether the model is that of a folder.
    fn is_from(&self, folder: &Path) -> bool {
        let (Ok(source), Ok(folder)) = (self.source.canonicalize(), folder.canonicalize()) else { return false };
        source == folder || source.is_file() && source.parent() == Some(folder.as_path())
    }

    /// The file of the model.
    fn path(&self) -> PathBuf {
        network::file(&self.source).unwrap_or_else(|| Path::new(&self.source).to_owned())
    }
}
