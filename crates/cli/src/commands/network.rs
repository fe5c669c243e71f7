//! Networks by name, or from files.

use std::path::{Path, PathBuf};

use kiln::graph::Shape;
use kiln::{Sequential, models};

use crate::error::Error;

/// A network that Kiln knows.
pub struct Known {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is for: the images that it takes, and the number of classes.
    pub input_shape: [usize; 3],
    pub classes: usize,
    /// The data set that it is trained on where none is named.
    pub data: &'static str,
    build: fn(Shape, usize) -> Sequential,
}

/// All of them.
pub const KNOWN: [Known; 3] = [
    Known { name: "lenet", input_shape: [28, 28, 1], classes: 10, data: "mnist", build: models::lenet },
    Known {
        name: "cifar-simple",
        input_shape: [32, 32, 3],
        classes: 10,
        data: "cifar10",
        build: models::cifar10_simple,
    },
    Known { name: "cifar-deep", input_shape: [32, 32, 3], classes: 10, data: "cifar10", build: models::cifar10_deep },
];

impl Known {
    /// The network of this name, if Kiln knows it.
    pub fn named(name: &str) -> Option<&'static Known> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// The network for such images and so many classes.
    pub fn build(&self, input_shape: impl Into<Shape>, classes: usize) -> Sequential {
        (self.build)(input_shape.into(), classes)
    }
}

/// The `model.json` that is meant: a file, or a folder that has one.
pub fn file(name: &Path) -> Option<PathBuf> {
    let in_folder = name.join("model.json");
    [name.to_owned(), in_folder].into_iter().find(|path| path.is_file())
}

/// A network that Kiln knows, or one from a file: fresh weights.
pub fn find(name: &str) -> Result<Sequential, Error> {
    match (Known::named(name), file(Path::new(name))) {
        (Some(known), _) => Ok(known.build(known.input_shape, known.classes)),
        (None, Some(path)) => Ok(Sequential::from_json_file(path)?),
        (None, None) => Err(Error::NoModel { found: name.to_owned() }),
    }
}
