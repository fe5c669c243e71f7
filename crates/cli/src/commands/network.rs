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
    build: fn(Shape, usize) -> Model,
    /// Its form as a backbone with weights pretrained on ImageNet, if it is one.
    pub backbone: Option<Backbone>,
}

/// A network that can be built without its classifier layers.
pub struct Backbone {
    /// The preprocessing of its images; `None` if the network rescales them itself.
    pub preprocessing: Option<Preprocessing>,
    /// Builds the network for this shape of images.
    pub build: fn(Shape, Top) -> Model,
}

/// All built-in networks.
pub static KNOWN: [Known; 11] = [
    Known {
        name: "lenet",
        input_shape: [28, 28, 1],
        classes: 10,
        data: Some("mnist"),
        build: models::lenet,
        backbone: None,
    },
    Known {
        name: "cifar10_simple",
        input_shape: [32, 32, 3],
        classes: 10,
        data: Some("cifar10"),
        build: models::cifar10_simple,
        backbone: None,
    },
    Known {
        name: "cifar10_deep",
        input_shape: [32, 32, 3],
        classes: 10,
        data: Some("cifar10"),
        build: models::cifar10_deep,
        backbone: None,
    },
    Known {
        name: "vgg16",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| models::vgg16(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Caffe), build: models::vgg16 }),
    },
    Known {
        name: "inception_v3",
        input_shape: [299, 299, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| models::inception_v3(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Tf), build: models::inception_v3 }),
    },
    Known {
        name: "resnet50",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| models::resnet50(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Caffe), build: models::resnet50 }),
    },
    Known {
        name: "mobilenet_v2",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| models::mobilenet_v2(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Tf), build: models::mobilenet_v2 }),
    },
    Known {
        name: "efficientnet_b0",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| models::efficientnet_b0(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: None, build: models::efficientnet_b0 }),
    },
    Known {
        name: "torchvision/resnet50",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| torchvision::resnet50(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Torch), build: torchvision::resnet50 }),
    },
    Known {
        name: "torchvision/mobilenet_v2",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| torchvision::mobilenet_v2(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Torch), build: torchvision::mobilenet_v2 }),
    },
    Known {
        name: "torchvision/efficientnet_b0",
        input_shape: [224, 224, 3],
        classes: 1000,
        data: None,
        build: |shape, classes| torchvision::efficientnet_b0(shape, Top::Classes(classes)),
        backbone: Some(Backbone { preprocessing: Some(Preprocessing::Torch), build: torchvision::efficientnet_b0 }),
    },
];

impl Known {
    /// All names, with commas between them.
    pub fn names() -> String {
        KNOWN.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")
    }

    /// The names of the backbones, with commas between them.
    pub fn backbone_names() -> String {
        let backbones = KNOWN.iter().filter(|known| known.backbone.is_some());
        backbones.map(|known| known.name).collect::<Vec<_>>().join(", ")
    }

    /// The built-in network with this name.
    pub fn named(name: &str) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// Builds the network for this shape of images and number of classes.
    pub fn build(&self, input_shape: impl Into<Shape>, classes: usize) -> Model {
        (self.build)(input_shape.into(), classes)
    }

    /// The backbone with this name.
    pub fn backbone(name: &str) -> Result<(&'static Known, &'static Backbone), Error> {
        let known = Known::named(name).and_then(|known| Some((known, known.backbone.as_ref()?)));
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
