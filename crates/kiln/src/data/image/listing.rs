//! Lists the files of a folder of classes.

use std::path::{Path, PathBuf};

use crate::data::DataError;

/// The file extensions of images: those of Keras, and `.webp`.
const EXTENSIONS: [&str; 6] = ["bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// The contents of a folder of classes.
pub(super) struct Listing {
    pub class_names: Vec<String>,
    /// Sorted by class, then by name.
    pub files: Vec<File>,
}

/// A file and the index of its class.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub path: PathBuf,
    pub class: u32,
}

impl Listing {
    /// Lists `folder`, in which each folder, or symbolic link to one, is a class. Within a class, links to files are
    /// included and links to folders are not followed, as by Keras' default.
    ///
    /// # Errors
    /// If a folder cannot be read, two classes share files because one is a link to the other, or there are no images.
    pub fn of(folder: &Path) -> Result<Listing, DataError> {
        let mut listing = Listing { class_names: Vec::new(), files: Vec::new() };
        let classes: Vec<PathBuf> = entries(folder)?.into_iter().map(|(path, _)| path).filter(|p| p.is_dir()).collect();
        check_apart(folder, &classes)?;
        for class in classes {
            let index = listing.class_names.len() as u32;
            listing.class_names.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
            listing.collect(&class, index)?;
        }
        match listing.files.is_empty() {
            true => Err(DataError::NoImages { folder: folder.to_owned() }),
            false => Ok(listing),
        }
    }

    fn collect(&mut self, folder: &Path, class: u32) -> Result<(), DataError> {
        for (path, kind) in entries(folder)? {
            if kind.is_dir() {
                self.collect(&path, class)?;
            } else if is_image(&path) && !(kind.is_symlink() && path.is_dir()) {
                self.files.push(File { path, class });
            }
        }
        Ok(())
    }
}

/// # Errors
/// If a class is the folder of the data set, a parent of it, another class or a folder in one: its images would belong
/// to several classes.
fn check_apart(folder: &Path, classes: &[PathBuf]) -> Result<(), DataError> {
    let real = |path: &Path| path.canonicalize().map_err(|source| DataError::Read { path: path.to_owned(), source });
    let root = real(folder)?;
    let mut places = Vec::with_capacity(classes.len());
    for class in classes {
        places.push((real(class)?, class));
    }
    let error = |link: &Path, target: &Path| DataError::Format {
        path: link.to_owned(),
        expected: "a class with images of its own".to_owned(),
        found: format!("a link to {}, which has images of other classes; remove it", target.display()),
    };
    if let Some((target, class)) = places.iter().find(|(place, _)| root.starts_with(place)) {
        return Err(error(class, target));
    }
    // Sorted, a folder precedes its contents.
    places.sort_unstable();
    match places.windows(2).find(|pair| pair[1].0.starts_with(&pair[0].0)) {
        Some([(outer, first), (inner, second)]) => {
            let is_link = |path: &Path| path.symlink_metadata().is_ok_and(|data| data.is_symlink());
            Err(if is_link(second) { error(second, inner) } else { error(first, outer) })
        }
        _ => Ok(()),
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// The visible entries of a folder, sorted, with their types, without following links.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, std::fs::FileType)>, DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push((entry.path(), entry.file_type().map_err(unreadable)?));
        }
    }
    entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use tempfile::{TempDir, tempdir};

    use super::*;

    /// Two cats, and three dogs, one of them in a nested folder.
    fn pets() -> TempDir {
        let folder = tempdir().unwrap();
        for name in ["cat/a.png", "cat/b.png", "dog/1.png", "dog/2.png", "dog/more/3.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    /// The names of the files, and their classes.
    fn listed(folder: &Path) -> Result<Vec<(String, u32)>, String> {
        let listing = Listing::of(folder).map_err(|error| error.to_string())?;
        let name = |file: &File| file.path.strip_prefix(folder).unwrap().display().to_string();
        Ok(listing.files.iter().map(|file| (name(file), file.class)).collect())
    }

    #[test]
    fn links_to_folders_within_a_class_are_not_followed() {
        let folder = pets();
        let before = listed(folder.path()).unwrap();
        assert_eq!(before.len(), 5);
        for (link, target) in [("cat/up", ".."), ("dog/self", "."), ("dog/again", "."), ("cat/x.png", "../dog")] {
            symlink(target, folder.path().join(link)).unwrap();
        }
        symlink(folder.path().join("dog/more"), folder.path().join("cat/dogs")).unwrap();
        assert_eq!(listed(folder.path()).unwrap(), before);
    }

    #[test]
    fn links_to_files_and_linked_classes_count() {
        let (folder, elsewhere) = (pets(), pets());
        symlink(elsewhere.path().join("dog"), folder.path().join("wolf")).unwrap();
        symlink(elsewhere.path().join("cat/a.png"), folder.path().join("cat/c.png")).unwrap();
        let files = listed(folder.path()).unwrap();
        assert_eq!(files.len(), 9);
        assert_eq!(files[2], ("cat/c.png".to_owned(), 0));
        assert_eq!(files[8], ("wolf/more/3.png".to_owned(), 2));
    }

    #[test]
    fn a_class_that_is_a_link_to_what_others_hold_is_an_error() {
        for (link, target) in [("all", "."), ("up", ".."), ("hound", "dog"), ("puppy", "dog/more")] {
            let folder = pets();
            symlink(target, folder.path().join(link)).unwrap();
            let error = listed(folder.path()).unwrap_err();
            let expected = format!("{link}: expected a class with images of its own, found a link to ");
            assert!(error.contains(&expected), "{error}");
        }
    }
}
