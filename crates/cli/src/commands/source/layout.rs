//! The layout of a data set's folder, recognised by its file names.

use std::path::{Path, PathBuf};

use kiln::data::{self, Dataset, LabelMode, MNIST_FILES, idx};

use super::{Images, Samples, Split};
use crate::error::Error;

/// Folder names for a part of a data set, not a class.
const PARTS: [&str; 8] = ["train", "training", "test", "testing", "val", "valid", "validation", "dev"];

/// The layout of a folder.
#[derive(Debug, PartialEq, Eq)]
pub enum FolderLayout {
    /// The four files of MNIST or of a data set in its format.
    Mnist(PathBuf),
    /// The files of CIFAR-10.
    Cifar10(PathBuf),
    /// The files of CIFAR-100.
    Cifar100(PathBuf),
    /// `train.safetensors` and `test.safetensors`.
    Tensors([PathBuf; 2]),
    /// The folders `train` and `test`, each with a folder of images per class.
    Parts([PathBuf; 2]),
    /// A folder of images per class.
    Classes(PathBuf),
}

impl FolderLayout {
    /// Recognises the layout of a folder, or of the only folder in it.
    pub fn of(folder: &Path) -> Result<FolderLayout, Error> {
        let has = |name| idx::find(folder, name).is_some();
        if MNIST_FILES.into_iter().any(has) {
            return Ok(FolderLayout::Mnist(folder.to_owned()));
        }
        if has("data_batch_1.bin") {
            return Ok(FolderLayout::Cifar10(folder.to_owned()));
        }
        if has("train.bin") {
            return Ok(FolderLayout::Cifar100(folder.to_owned()));
        }
        let files = ["train.safetensors", "test.safetensors"].map(|part| folder.join(part));
        if files.iter().all(|file| file.is_file()) {
            return Ok(FolderLayout::Tensors(files));
        }
        let parts = ["train", "test"].map(|part| folder.join(part));
        if parts.iter().all(|part| part.is_dir()) {
            return Ok(FolderLayout::Parts(parts));
        }
        let found = entries(folder)?;
        let folders: Vec<&PathBuf> = found.iter().filter(|path| path.is_dir()).collect();
        match (&found[..], &folders[..]) {
            ([only], [_]) => FolderLayout::of(only),
            (_, [_, _, ..]) if !folders.iter().any(|folder| is_part(folder)) => {
                Ok(FolderLayout::Classes(folder.to_owned()))
            }
            _ => Err(Error::NotASet { folder: folder.to_owned(), found: names(&found) }),
        }
    }

    /// Loads the training and test samples. Bytes are scaled to 0 to 1.
    pub fn load(&self, images: &Images) -> Result<Samples, Error> {
        let with_test = |(train, test)| Samples { train, test: Some(test), split: Split::Fit };
        match self {
            FolderLayout::Mnist(folder) => Ok(with_test(data::mnist(folder)?)),
            FolderLayout::Cifar10(folder) => Ok(with_test(data::cifar10(folder)?)),
            FolderLayout::Cifar100(folder) => Ok(with_test(data::cifar100(folder, LabelMode::Fine)?)),
            FolderLayout::Tensors([train, test]) => {
                Ok(with_test((data::load_safetensors(train)?, data::load_safetensors(test)?)))
            }
            FolderLayout::Parts([train, test]) => {
                let (folder, train, test) = (train, images.load(train)?, images.load(test)?);
                match train.class_names() == test.class_names() {
                    true => Ok(with_test((train, test))),
                    false => Err(Error::OtherClasses {
                        folder: folder.parent().unwrap_or(folder).to_owned(),
                        train: train.class_names().to_vec(),
                        test: test.class_names().to_vec(),
                    }),
                }
            }
            FolderLayout::Classes(folder) => {
                Ok(Samples { train: images.load(folder)?, test: None, split: Split::Folder })
            }
        }
    }

    /// Loads only the test samples, or all samples of a folder of classes.
    pub fn load_test(&self, images: &Images) -> Result<Dataset, Error> {
        match self {
            FolderLayout::Tensors([_, test]) => Ok(data::load_safetensors(test)?),
            FolderLayout::Parts([_, test]) => images.load(test),
            _ => {
                let Samples { train, test, .. } = self.load(images)?;
                Ok(test.unwrap_or(train))
            }
        }
    }
}

fn is_part(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    PARTS.contains(&&*name)
}

/// The visible entries of a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort_unstable();
    Ok(paths)
}

/// The first few names as text.
fn names(paths: &[PathBuf]) -> String {
    const SHOWN: usize = 5;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let shown: Vec<String> = paths.iter().take(SHOWN).map(name).collect();
    match paths.len() {
        0 => "nothing".to_owned(),
        all if all > SHOWN => format!("{} and {} more", shown.join(", "), all - SHOWN),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The layout of a folder with these folders.
    fn of(folders: &[&str]) -> Result<FolderLayout, String> {
        let root = tempfile::tempdir().unwrap();
        folders.iter().for_each(|name| std::fs::create_dir_all(root.path().join(name)).unwrap());
        let layout = FolderLayout::of(root.path()).map_err(|error| error.to_string())?;
        let inside = |path: PathBuf| path.strip_prefix(root.path()).unwrap().to_owned();
        Ok(match layout {
            FolderLayout::Classes(folder) => FolderLayout::Classes(inside(folder)),
            FolderLayout::Parts(parts) => FolderLayout::Parts(parts.map(inside)),
            other => other,
        })
    }

    #[test]
    fn folders_are_parts_or_classes() {
        assert_eq!(of(&["train/a", "test/a"]), Ok(FolderLayout::Parts(["train".into(), "test".into()])));
        assert_eq!(of(&["cat", "dog", ".hidden"]), Ok(FolderLayout::Classes("".into())));
        assert_eq!(of(&["photos/cat", "photos/dog"]), Ok(FolderLayout::Classes("photos".into())));
        for parts in [&["train/a", "validation/a"][..], &["cat", "Train"], &["cat"], &[]] {
            assert!(of(parts).unwrap_err().contains("or a folder of images for each class"), "{parts:?}");
        }
    }
}
