//! Networks by name, or from files.

use std::path::{Path, PathBuf};

use kiln::data::Preprocessing;
use kiln::graph::Shape;
use kiln::models::{self, Top, torchvision};
use kiln::{LoadModel, LoadWeights, Model};

use super::run;
use super::weights::Weights;
use crate::error::Error;

/// A built-in network.
pub struct Known {
    /// Its name: the path of its function in [`kiln::models`].
    pub name: &'static str,
    /// The default shape of its images, and the default number of classes.
    pub input_shape: [usize; 3],
    pub classes: usize,
    /// The default data set, if it has one.
    pub data: Option<&'static str>,
    build: Build,
}

/// The function of a network.
enum Build {
    /// For this shape of images and number of classes.
    Whole(fn(Shape, usize) -> Model),
    Backbone(Backbone),
}

/// A network that can be built without its classifier layers, for weights pretrained on ImageNet.
pub struct Backbone {
    /// The preprocessing of its images; `None` if the network rescales them itself.
    pub preprocessing: Option<Preprocessing>,
    /// Builds the network for this shape of images.
    pub build: fn(Shape, Top) -> Model,
}

/// All built-in networks.
pub static KNOWN: [Known; 11] = [
    small("lenet", [28, 28, 1], "mnist", models::lenet),
    small("cifar10_simple", [32, 32, 3], "cifar10", models::cifar10_simple),
    small("cifar10_deep", [32, 32, 3], "cifar10", models::cifar10_deep),
    backbone("vgg16", 224, Some(Preprocessing::Caffe), models::vgg16),
    backbone("inception_v3", 299, Some(Preprocessing::Tf), models::inception_v3),
    backbone("resnet50", 224, Some(Preprocessing::Caffe), models::resnet50),
    backbone("mobilenet_v2", 224, Some(Preprocessing::Tf), models::mobilenet_v2),
    backbone("efficientnet_b0", 224, None, models::efficientnet_b0),
    backbone("torchvision/resnet50", 224, Some(Preprocessing::Torch), torchvision::resnet50),
    backbone("torchvision/mobilenet_v2", 224, Some(Preprocessing::Torch), torchvision::mobilenet_v2),
    backbone("torchvision/efficientnet_b0", 224, Some(Preprocessing::Torch), torchvision::efficientnet_b0),
];

/// A network for a data set of 10 classes.
const fn small(
    name: &'static str,
    input_shape: [usize; 3],
    data: &'static str,
    build: fn(Shape, usize) -> Model,
) -> Known {
    Known { name, input_shape, classes: 10, data: Some(data), build: Build::Whole(build) }
}

/// A network for images of this height and width, and the classes of ImageNet.
const fn backbone(
    name: &'static str,
    side: usize,
    preprocessing: Option<Preprocessing>,
    build: fn(Shape, Top) -> Model,
) -> Known {
    let build = Build::Backbone(Backbone { preprocessing, build });
    Known { name, input_shape: [side, side, 3], classes: 1000, data: None, build }
}

impl Known {
    /// All names, with commas between them.
    pub fn names() -> String {
        KNOWN.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")
    }

    /// The names of the backbones, with commas between them.
    pub fn backbone_names() -> String {
        let backbones = KNOWN.iter().filter(|known| known.as_backbone().is_some());
        backbones.map(|known| known.name).collect::<Vec<_>>().join(", ")
    }

    /// The built-in network with this name.
    pub fn named(name: &str) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// Builds the network for this shape of images and number of classes.
    pub fn build(&self, input_shape: impl Into<Shape>, classes: usize) -> Model {
        match &self.build {
            Build::Whole(build) => build(input_shape.into(), classes),
            Build::Backbone(backbone) => (backbone.build)(input_shape.into(), Top::Classes(classes)),
        }
    }

    /// Its form as a backbone, if it is one.
    pub fn as_backbone(&self) -> Option<&Backbone> {
        match &self.build {
            Build::Whole(_) => None,
            Build::Backbone(backbone) => Some(backbone),
        }
    }

    /// The backbone with this name.
    pub fn backbone(name: &str) -> Result<(&'static Known, &'static Backbone), Error> {
        let known = Known::named(name).and_then(|known| Some((known, known.as_backbone()?)));
        known.ok_or_else(|| Error::NoBackbone { found: name.to_owned(), names: Known::backbone_names() })
    }
}

/// Loads pretrained weights into a backbone or a part of one; weights of other layers are ignored.
pub fn load_backbone(model: &mut Model, weights: &Weights) -> Result<(), Error> {
    let path = weights.path()?;
    let kept = model.load_weights_with(&path, LoadWeights { by_name: true, ..LoadWeights::default() })?;
    if kept.is_empty() { Ok(()) } else { Err(Error::PartOfBackbone { path, missing: kept }) }
}

/// The path of the model with this name: a file (`model.json`, or a whole model of Keras or ONNX), or the one in a folder, also
/// of an unpacked `.keras` file.
pub fn file(name: &Path) -> Option<PathBuf> {
    let in_folder = ["model.json", "config.json"].map(|file| name.join(file));
    [name.to_owned()].into_iter().chain(in_folder).find(|path| path.is_file())
}

/// Loads a model with its weights from a file that [`file`] found; without `weights`, those in the file or beside it.
pub fn load(path: &Path, weights: Option<&Weights>, options: LoadModel) -> Result<Model, Error> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if ending.as_deref() == Some("onnx") {
        let mut model = Model::load_with(path, options)?;
        if let Some(weights) = weights {
            model.load_weights(weights.path()?)?;
        }
        return Ok(model);
    }
    let beside = match ending.as_deref() {
        Some("keras" | "h5" | "hdf5") => path.to_owned(),
        _ if path.ends_with("config.json") => path.with_file_name("model.weights.h5"),
        _ => path.with_file_name("weights.safetensors"),
    };
    let mut model = Model::from_json_file_with(path, options)?;
    model.load_weights(weights.map_or(Ok(beside), Weights::path)?)?;
    Ok(model)
}

/// A built-in network or one from a file, with new weights.
pub fn find(name: &str) -> Result<Model, Error> {
    match (Known::named(name), file(Path::new(name))) {
        (Some(known), _) => Ok(known.build(known.input_shape, known.classes)),
        (None, Some(path)) => Ok(Model::from_json_file(path)?),
        (None, None) => Err(none(name)),
    }
}

/// The model, if it has one input and one output.
///
/// # Errors
/// If it has several.
pub fn single(model: Model) -> Result<Model, Error> {
    let names = |ends: Vec<(&str, &Shape)>| ends.into_iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
    let (inputs, outputs) = (names(model.input_shapes()), names(model.output_shapes()?));
    match inputs.len() == 1 && outputs.len() == 1 {
        true => Ok(model),
        false => Err(Error::SeveralEnds { model: model.name().to_owned(), inputs, outputs }),
    }
}

/// # Errors
/// If there is no network, file or folder with this name.
pub fn check(name: &str) -> Result<(), Error> {
    match Known::named(name).is_some() || file(Path::new(name)).is_some() {
        true => Ok(()),
        false => Err(none(name)),
    }
}

fn none(name: &str) -> Error {
    match run::file(Path::new(name)).is_file() {
        true => Error::Unfinished { folder: name.into() },
        false => Error::NoModel { found: name.to_owned() },
    }
}
