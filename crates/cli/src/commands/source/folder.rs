//! What a folder holds, told by its files' names.

use std::path::{Path, PathBuf};

use kiln::data::{self, Dataset, LabelMode, MNIST_FILES, idx};

use super::Images;
use crate::error::Error;

/// Training and test samples from a folder, or from the one folder in it.
pub fn load(folder: &Path, images: &Images) -> Result<(Dataset, Dataset), Error> {
    let has = |name| idx::find(folder, name).is_some();
    if MNIST_FILES.into_iter().any(has) {
        return Ok(data::mnist(folder)?);
    }
    if has("data_batch_1.bin") {
        return Ok(data::cifar10(folder)?);
    }
    if has("train.bin") {
        return Ok(data::cifar100(folder, LabelMode::Fine)?);
    }
    let [train, test] = ["train.safetensors", "test.safetensors"].map(|part| folder.join(part));
    if train.is_file() && test.is_file() {
        return Ok((data::load_safetensors(train)?, data::load_safetensors(test)?));
    }
    let [train, test] = ["train", "test"].map(|part| folder.join(part));
    if train.is_dir() && test.is_dir() {
        let (train, test) = (images.load(&train)?, images.load(&test)?);
        return match train.class_names() == test.class_names() {
            true => Ok((train, test)),
            false => Err(Error::OtherClasses {
                folder: folder.to_owned(),
                train: train.class_names().to_vec(),
                test: test.class_names().to_vec(),
            }),
        };
    }
    let found = entries(folder)?;
    match &found[..] {
        [only] if only.is_dir() => load(only, images),
        _ => Err(Error::NotASet { folder: folder.to_owned(), found: names(&found) }),
    }
}

/// The folder with the training images, if a folder holds images.
pub fn training_images(folder: &Path) -> Option<PathBuf> {
    let train = folder.join("train");
    match &entries(folder).ok()?[..] {
        _ if train.is_dir() => Some(train),
        [only] if only.is_dir() && !only.is_symlink() => training_images(only),
        _ => None,
    }
}

/// What is in a folder and not hidden, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort_unstable();
    Ok(paths)
}

/// The first few names in words.
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
