//! `--data`: a data set that Kiln knows, a folder, an archive of one, or a safetensors file.

mod archive;
mod folder;
mod images;

use std::path::{Path, PathBuf};

use kiln::data::{self, Dataset};
use kiln::graph::Shape;

pub use folder::load as load_folder;
pub use images::{Images, size};

use crate::error::Error;
use crate::fetch::Known;

/// What there is to learn, and what to test with.
pub struct Samples {
    pub train: Dataset,
    /// None in a safetensors file.
    pub test: Option<Dataset>,
}

/// Whether a source is a safetensors file, by its name.
pub fn is_tensors(source: &str) -> bool {
    Path::new(source).extension().is_some_and(|extension| extension == "safetensors")
}

/// The samples of a data set that Kiln knows, which is fetched if need be, or of what lies in a folder, an archive or a
/// safetensors file. Values of the last are seen as they are, also bytes.
pub fn load(source: &str, images: &Images) -> Result<Samples, Error> {
    let path = Path::new(source);
    if is_tensors(source) {
        return Ok(Samples { train: data::load_safetensors(path)?.rescaled(1.0, 0.0), test: None });
    }
    let folder = match Known::named(source) {
        Some(set) => ready(set, None, None)?,
        None if path.is_dir() => path.to_owned(),
        None if path.is_file() => archive::unpacked(path)?,
        None => return Err(Error::NoData { found: source.to_owned() }),
    };
    let (train, test) = folder::load(&folder, images)?;
    Ok(Samples { train, test: Some(test) })
}

/// The shape of a sample and the number of classes of a folder of images, or of an archive of one, if images are
/// resized: without a look into any of them.
pub fn described(source: &str, images: &Images) -> Result<Option<(Shape, usize)>, Error> {
    let path = Path::new(source);
    let folder = match Known::named(source) {
        None if path.is_dir() => path.to_owned(),
        None if path.is_file() && !is_tensors(source) => archive::unpacked(path)?,
        _ => return Ok(None),
    };
    folder::training_images(&folder).map_or(Ok(None), |folder| images.described(&folder))
}

/// A source in words that mean the same in every folder.
pub fn from_anywhere(source: &str) -> String {
    match (Known::named(source), std::path::absolute(source)) {
        (None, Ok(path)) => path.display().to_string(),
        _ => source.to_owned(),
    }
}

/// Makes sure that a data set is in a folder, by default the one that Kiln keeps for it.
pub fn ready(set: Known, from: Option<&Path>, into: Option<&Path>) -> Result<PathBuf, Error> {
    let folder = into.map_or_else(|| data::folder(set.name()), |folder| Ok(folder.to_owned()))?;
    set.fetch(from, &folder)?;
    Ok(folder)
}
