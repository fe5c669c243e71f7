//! `--data`: a data set that Kiln knows, a folder, or an archive of one.

mod archive;
mod folder;
mod images;

use std::path::{Path, PathBuf};

use kiln::data::{self, Dataset};

pub use folder::load as load_folder;
pub use images::Images;

use crate::error::Error;
use crate::fetch::Known;

/// Training and test samples: of a data set that Kiln knows, which is fetched if need be, or of what lies in a folder or
/// an archive.
pub fn load(source: &str, images: &Images) -> Result<(Dataset, Dataset), Error> {
    let path = Path::new(source);
    let folder = match Known::named(source) {
        Some(set) => ready(set, None, None)?,
        None if path.is_dir() => path.to_owned(),
        None if path.is_file() => archive::unpacked(path)?,
        None => return Err(Error::NoData { found: source.to_owned() }),
    };
    folder::load(&folder, images)
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
