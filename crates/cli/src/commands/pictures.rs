//! Pictures from the command line as samples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use kiln::Model;
use kiln::data::{ColorMode, DataError, Dataset, Interpolation, LoadImg, load_img};
use kiln::graph::Shape;

use crate::error::Error;

/// The file extensions of pictures in a folder.
const EXTENSIONS: [&str; 6] = ["bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// Reads pictures as samples for a model.
pub struct Reader {
    shape: Shape,
    options: LoadImg,
}

impl Reader {
    /// A reader for a model of images.
    pub fn new(model: &Model, interpolation: Interpolation) -> Result<Reader, Error> {
        let shape = model.input_shape().clone();
        let wrong = || Error::NoPictures { model: model.name().to_owned(), takes: shape.to_string() };
        let Some([height, width, channels]) = shape.dims() else { return Err(wrong()) };
        let color_mode = ColorMode::of_channels(channels).ok_or_else(wrong)?;
        let options = LoadImg { color_mode, target_size: Some([height, width]), interpolation };
        Ok(Reader { shape, options })
    }

    /// The number of pictures to read at once: about 64 MB.
    pub fn at_once(&self) -> usize {
        ((64 << 20) / self.shape.elements().max(1)).clamp(1, 256)
    }

    /// Reads pictures as bytes; returns those that can be read, and for each file its error, if any.
    pub fn read(&self, files: &[PathBuf]) -> Result<(Dataset, Vec<Option<DataError>>), Error> {
        let mut values = Vec::with_capacity(files.len() * self.shape.elements());
        let mut problems = Vec::new();
        for file in files {
            problems.push(match load_img(file, &self.options) {
                Ok(image) => {
                    values.extend(image.values);
                    None
                }
                Err(problem) => Some(problem),
            });
        }
        let data = Dataset::from_u8(self.shape.clone(), values, None)?;
        Ok((data, problems))
    }

    /// Reads all pictures.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn read_all(&self, files: &[PathBuf]) -> Result<Dataset, Error> {
        let (data, problems) = self.read(files)?;
        problems.into_iter().flatten().next().map_or(Ok(data), |problem| Err(problem.into()))
    }
}

/// The picture files found, and errors in folders.
#[derive(Debug, Default)]
pub struct Found {
    pub files: Vec<PathBuf>,
    pub problems: Vec<Error>,
}

/// Finds pictures: files, and all pictures in folders and their subfolders, sorted by name.
pub fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        if !path.is_dir() {
            found.files.push(path.clone());
            continue;
        }
        let before = found.files.len();
        match collect(path, &mut BTreeSet::new(), &mut found.files) {
            Ok(()) if found.files.len() > before => {}
            Ok(()) => found.problems.push(Error::NoPicturesIn { folder: path.clone() }),
            Err(error) => found.problems.push(error),
        }
    }
    found
}

/// Adds the pictures in a folder, visiting each folder once, even if several links lead to it.
fn collect(folder: &Path, visited: &mut BTreeSet<PathBuf>, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    if !visited.insert(folder.canonicalize().map_err(Error::file("read", folder))?) {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.')));
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            collect(&path, visited, files)?;
        } else if is_picture(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_stands_for_its_pictures_and_those_of_its_folders() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for name in ["b.JPG", "a.png", "notes.txt", ".hidden.png", "c/d.webp"] {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), "").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("..", root.join("c/up")).unwrap();
        std::fs::create_dir(root.join("empty")).unwrap();
        let Found { files, problems } = find(&["x.bin".into(), root.join("empty"), root.to_owned()]);
        let name = |path: &PathBuf| path.strip_prefix(root).unwrap_or(path).display().to_string();
        let names: Vec<String> = files.iter().map(name).collect();
        assert_eq!(names, ["x.bin", "a.png", "b.JPG", "c/d.webp"]);
        assert!(problems.len() == 1 && problems[0].to_string().contains("empty"), "{problems:?}");
    }
}
