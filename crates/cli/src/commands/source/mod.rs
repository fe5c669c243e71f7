//! `--data`: a data set that Kiln knows, a folder, an archive of one, or a safetensors file.

mod archive;
mod images;
mod layout;

use std::path::{Path, PathBuf};

use kiln::Model;
use kiln::data::{self, Dataset, Preprocessing};
use kiln::graph::Shape;

pub use images::{Images, size};

use self::layout::Layout;
use super::run::{DType, Rescale};
use crate::error::Error;
use crate::fetch::Known;

/// What there is to learn, and what to test with.
pub struct Samples {
    pub train: Dataset,
    /// None in a safetensors file, and in a folder of classes.
    pub test: Option<Dataset>,
    split: Split,
}

/// How a share of the samples is set apart to validate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// All but the first `int(n (1 - share))`: the `validation_split` of Keras' `fit`.
    Fit,
    /// The last `int(n share)`: that of Keras' `image_dataset_from_directory`, whose files were mixed before.
    Folder,
}

impl Split {
    fn of(self, data: &Dataset, share: f64) -> [Dataset; 2] {
        match self {
            Split::Fit => data.split(share).into(),
            Split::Folder => {
                let first = data.len() - (data.len() as f64 * share.clamp(0.0, 1.0)) as usize;
                [data.range(0..first), data.range(first..data.len())]
            }
        }
    }
}

impl Samples {
    /// The samples to train with, and the share of them to validate with.
    pub fn split(&self, share: f64) -> [Dataset; 2] {
        self.split.of(&self.train, share)
    }

    /// The samples as a model is to see them: by a rule, if one is given. Otherwise, a model that scales pictures itself
    /// sees their bytes as they are.
    pub fn scaled_for(self, model: &Model, rule: Option<Rescale>) -> Samples {
        let own = model.rescales_input().is_some() && DType::of(&self.train) == DType::UInt8;
        let Some(rule) = rule.or(own.then_some(Rescale::NONE)) else { return self };
        Samples { train: rule.apply(self.train), test: self.test.map(|test| rule.apply(test)), ..self }
    }

    /// The samples as a backbone expects photographs.
    pub fn preprocessed(self, preprocessing: Preprocessing) -> Result<Samples, Error> {
        let test = self.test.map(|test| test.preprocess_input(preprocessing)).transpose()?;
        Ok(Samples { train: self.train.preprocess_input(preprocessing)?, test, ..self })
    }
}

/// What a model is evaluated on.
pub struct Held {
    pub data: Dataset,
    /// How it is called: `test images`.
    pub what: &'static str,
    /// Of how many samples `data` is a share, if it is one.
    pub share_of: Option<usize>,
}

/// Whether a source is a safetensors file, by its name.
pub fn is_tensors(source: &str) -> bool {
    Path::new(source).extension().is_some_and(|extension| extension == "safetensors")
}

/// The samples of a data set that Kiln knows, which is fetched if need be, or of what lies in a folder, an archive or a
/// safetensors file. Values of the last are seen as they are, also bytes.
pub fn load(source: &str, images: &Images) -> Result<Samples, Error> {
    if is_tensors(source) {
        let train = data::load_safetensors(Path::new(source))?.rescaled(1.0, 0.0);
        return Ok(Samples { train, test: None, split: Split::Fit });
    }
    load_folder(&folder_of(source)?, images)
}

/// The samples of such a source that a model is evaluated on: the test samples where there are some, else the share that
/// was set apart to validate with, or all.
pub fn load_held(source: &str, images: &Images, share: f64) -> Result<Held, Error> {
    let (data, split, whats) = if is_tensors(source) {
        let data = data::load_safetensors(Path::new(source))?.rescaled(1.0, 0.0);
        (data, Split::Fit, ["samples", "validation samples"])
    } else {
        match Layout::of(&folder_of(source)?)? {
            Layout::Classes(folder) => (images.load(&folder)?, Split::Folder, ["images", "validation images"]),
            layout => return Ok(Held { data: layout.load_test(images)?, what: "test images", share_of: None }),
        }
    };
    match share > 0.0 {
        true => {
            let [_, held] = split.of(&data, share);
            Ok(Held { data: held, what: whats[1], share_of: Some(data.len()) })
        }
        false => Ok(Held { data, what: whats[0], share_of: None }),
    }
}

/// What lies in a folder.
pub fn load_folder(folder: &Path, images: &Images) -> Result<Samples, Error> {
    Layout::of(folder)?.load(images)
}

fn folder_of(source: &str) -> Result<PathBuf, Error> {
    let path = Path::new(source);
    match Known::named(source) {
        Some(set) => ready(set, None, None),
        None if path.is_dir() => Ok(path.to_owned()),
        None if path.is_file() => archive::unpacked(path),
        None => Err(Error::NoData { found: source.to_owned() }),
    }
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
    match Layout::of(&folder)? {
        Layout::Parts([folder, _]) | Layout::Classes(folder) => images.described(&folder),
        _ => Ok(None),
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::data::Labels;

    use super::*;

    #[test]
    fn a_share_is_rounded_as_keras_does_for_fit_and_for_folders() {
        let data = Dataset::from_u8([1], vec![0; 10], Labels::index(vec![0; 10], 1)).unwrap();
        let lengths = |split: Split, share| split.of(&data, share).map(|part| part.len());
        assert_eq!(lengths(Split::Fit, 0.25), [7, 3]);
        assert_eq!(lengths(Split::Folder, 0.25), [8, 2]);
        assert_eq!((lengths(Split::Fit, 0.0), lengths(Split::Folder, 0.0)), ([10, 0], [10, 0]));
    }
}
