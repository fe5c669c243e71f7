//! `--data`: a data set that Kiln knows, a folder, an archive of one, or a safetensors file.

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

/// What a model may be evaluated on.
pub struct Found {
    /// The test samples where there are some, else all.
    pub data: Dataset,
    /// How they are called: `images`, `samples`.
    whats: &'static str,
    /// How a share of them is set apart; none of test samples.
    split: Option<Split>,
}

impl Found {
    /// Whether they are test samples, which no training has seen.
    pub fn is_test(&self) -> bool {
        self.split.is_none()
    }

    /// The share of them that a training validates with. All for 0, and of test samples.
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

/// What a model is evaluated on.
pub struct Held {
    pub data: Dataset,
    /// How it is called: `test images`.
    pub what: String,
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

/// The samples of such a source that a model may be evaluated on.
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

/// What lies in a folder.
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
            problem:
                "expected a folder or an archive of one, found a file of a data set in the form of MNIST; pass the \
                      folder that holds its four files"
                    .to_owned(),
        }),
        None => archive::unpacked(Path::new(source)),
    }
}

/// Whether a file is one of those of MNIST, by its first bytes.
fn is_idx(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = data::idx::open(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && matches!(magic, [0, 0, 8, 1..=8])
}

/// # Errors
/// When a source is neither a data set that Kiln knows, nor a folder, nor a file.
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

/// The shape of a sample and the number of classes of a folder of images, or of an archive of one, if images are
/// resized: without a look into any of them.
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

/// A source in words that mean the same in every folder, and that are the same for each way to write a path.
pub fn from_anywhere(source: &str) -> String {
    let path = || std::fs::canonicalize(source).or_else(|_| std::path::absolute(source)).ok();
    let path = Known::named(source).is_none().then(path).flatten();
    path.map_or_else(|| source.to_owned(), |path| path.display().to_string())
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
