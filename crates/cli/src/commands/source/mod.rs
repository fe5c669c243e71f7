//! `--data`: a known data set, a folder, an archive, or a safetensors file.

mod archive;
mod images;
mod layout;

use std::io::Read;
use std::path::{Path, PathBuf};

use kiln::Model;
use kiln::data::{self, DataError, Dataset, Preprocessing};
use kiln::graph::Shape;

pub use images::{Images, size};

use self::layout::FolderLayout;
use super::run::{DType, Rescale};
use crate::error::Error;
use crate::fetch::Known;

/// Training and test samples.
pub struct Samples {
    pub train: Dataset,
    /// None for a safetensors file and for a folder of classes.
    pub test: Option<Dataset>,
    split: Split,
}

/// The rule that splits off the validation set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    /// All but the first `int(n (1 - share))` samples, as `validation_split` of Keras' `fit`.
    Fit,
    /// The last `int(n share)` samples, as in Keras' `image_dataset_from_directory`, after shuffling the files.
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
    /// Splits the samples into a training set and a validation set of this share.
    pub fn split(&self, share: f64) -> [Dataset; 2] {
        self.split.of(&self.train, share)
    }

    /// Scales the samples for a model by `rule`, if there is one. Otherwise, bytes stay unscaled for a model that
    /// scales pictures itself.
    pub fn scaled_for(self, model: &Model, rule: Option<Rescale>) -> Samples {
        let own = model.rescales_input().is_some() && DType::of(&self.train) == DType::UInt8;
        let Some(rule) = rule.or(own.then_some(Rescale::NONE)) else { return self };
        Samples { train: rule.apply(self.train), test: self.test.map(|test| rule.apply(test)), ..self }
    }

    /// Preprocesses the samples for a backbone.
    pub fn preprocessed(self, preprocessing: Preprocessing) -> Result<Samples, Error> {
        let test = self.test.map(|test| test.preprocess_input(preprocessing)).transpose()?;
        Ok(Samples { train: self.train.preprocess_input(preprocessing)?, test, ..self })
    }
}

/// Samples to evaluate a model on.
pub struct Found {
    /// The test samples if there are any, else all.
    pub data: Dataset,
    /// Their noun: `images`, `samples`.
    whats: &'static str,
    /// The rule of their split; none for test samples.
    split: Option<Split>,
}

impl Found {
    /// Whether they are test samples.
    pub fn is_test(&self) -> bool {
        self.split.is_none()
    }

    /// The validation set of a training with this share; all samples if it is 0 or these are test samples.
    pub fn held(self, share: f64) -> Held {
        match self.split.filter(|_| share > 0.0) {
            Some(split) => {
                let [_, held] = split.of(&self.data, share);
                Held { data: held, what: format!("validation {}", self.whats) }
            }
            None if self.is_test() => Held { data: self.data, what: format!("test {}", self.whats) },
            None => Held { data: self.data, what: self.whats.to_owned() },
        }
    }
}

/// The samples that a model is evaluated on.
pub struct Held {
    pub data: Dataset,
    /// Their noun: `test images`.
    pub what: String,
}

/// Whether a source is a safetensors file, by its extension.
pub fn is_tensors(source: &str) -> bool {
    Path::new(source).extension().is_some_and(|extension| extension == "safetensors")
}

/// Loads a known data set, downloading it if necessary, or a folder, an archive or a safetensors file. Values of a
/// safetensors file are not scaled, not even bytes.
pub fn load(source: &str, images: &Images) -> Result<Samples, Error> {
    if is_tensors(source) {
        let train = data::load_safetensors(Path::new(source))?.rescaled(1.0, 0.0);
        return Ok(Samples { train, test: None, split: Split::Fit });
    }
    load_folder(&folder_of(source)?, images)
}

/// Loads the samples of a source to evaluate a model on.
pub fn load_found(source: &str, images: &Images) -> Result<Found, Error> {
    if is_tensors(source) {
        let data = data::load_safetensors(Path::new(source))?.rescaled(1.0, 0.0);
        return Ok(Found { data, whats: "samples", split: Some(Split::Fit) });
    }
    Ok(match FolderLayout::of(&folder_of(source)?)? {
        FolderLayout::Classes(folder) => {
            Found { data: images.load(&folder)?, whats: "images", split: Some(Split::Folder) }
        }
        layout => Found { data: layout.load_test(images)?, whats: "images", split: None },
    })
}

/// Loads a folder.
pub fn load_folder(folder: &Path, images: &Images) -> Result<Samples, Error> {
    FolderLayout::of(folder)?.load(images)
}

fn folder_of(source: &str) -> Result<PathBuf, Error> {
    check(source)?;
    match Known::named(source) {
        Some(set) => ready(set, None, None),
        None if Path::new(source).is_dir() => Ok(source.into()),
        None if is_idx(Path::new(source)) => Err(Error::Archive {
            archive: source.into(),
            problem: "expected a folder or an archive, found a single file in MNIST's format; pass the \
                      folder that has its four files"
                .to_owned(),
        }),
        None => archive::unpacked(Path::new(source)),
    }
}

/// Whether a file is in MNIST's format, by its first bytes.
fn is_idx(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = data::idx::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && matches!(magic, [0, 0, 8, 1..=8])
}

/// # Errors
/// If a source is neither a known data set, nor a folder, nor a file.
pub fn check(source: &str) -> Result<(), Error> {
    let path = Path::new(source);
    match Known::named(source).is_some() || path.exists() {
        true => Ok(()),
        false if is_tensors(source) => {
            path.metadata().map(|_| ()).map_err(|source| DataError::Read { path: path.to_owned(), source }.into())
        }
        false => Err(Error::NoData { found: source.to_owned() }),
    }
}

/// The shape of a sample and the number of classes of a folder or archive of images, if images are resized, without
/// reading any image.
pub fn described(source: &str, images: &Images) -> Result<Option<(Shape, usize)>, Error> {
    if Known::named(source).is_some() || is_tensors(source) {
        return Ok(None);
    }
    let folder = folder_of(source)?;
    match FolderLayout::of(&folder)? {
        FolderLayout::Parts([folder, _]) | FolderLayout::Classes(folder) => images.described(&folder),
        _ => Ok(None),
    }
}

/// A source with its path made absolute and canonical.
pub fn from_anywhere(source: &str) -> String {
    let path = || std::fs::canonicalize(source).or_else(|_| std::path::absolute(source)).ok();
    let path = Known::named(source).is_none().then(path).flatten();
    path.map_or_else(|| source.to_owned(), |path| path.display().to_string())
}

/// Ensures that a data set is in a folder, by default in the cache.
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
    #[cfg(unix)]
    fn a_source_has_one_name_however_its_path_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir_all(path("photos/cat")).unwrap();
        std::os::unix::fs::symlink(path("photos"), path("link")).unwrap();
        let expected = folder.path().canonicalize().unwrap().join("photos").display().to_string();
        for written in ["photos", "photos/", "photos/cat/..", "./photos//", "link", "link/cat/../."] {
            assert_eq!(from_anywhere(&path(written)), expected, "{written}");
        }
        assert_eq!(from_anywhere("mnist"), "mnist");
        assert_eq!(from_anywhere(&path("none")), path("none"));
    }

    #[test]
    fn a_share_is_rounded_as_keras_does_for_fit_and_for_folders() {
        let data = Dataset::from_u8([1], vec![0; 10], Labels::index(vec![0; 10], 1)).unwrap();
        let lengths = |split: Split, share| split.of(&data, share).map(|part| part.len());
        assert_eq!(lengths(Split::Fit, 0.25), [7, 3]);
        assert_eq!(lengths(Split::Folder, 0.25), [8, 2]);
        assert_eq!((lengths(Split::Fit, 0.0), lengths(Split::Folder, 0.0)), ([10, 0], [10, 0]));
    }
}
