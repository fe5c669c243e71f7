//! `--data`: a data set that Kiln knows, or a folder.

use std::path::{Path, PathBuf};

use kiln::data::{self, Dataset};

use crate::error::Error;
use crate::fetch::{self, DataSet, FASHION_MNIST, MNIST};

/// The data set of this name, if Kiln knows it.
pub fn known(name: &str) -> Option<&'static DataSet> {
    [&MNIST, &FASHION_MNIST].into_iter().find(|set| set.name == name)
}

/// Training and test samples: of a data set that Kiln knows, which is fetched if need be, or of the IDX files in a folder.
pub fn load(source: &str) -> Result<(Dataset, Dataset), Error> {
    let folder = match known(source) {
        Some(set) => ready(set, None, None)?,
        None if Path::new(source).is_dir() => PathBuf::from(source),
        None => return Err(Error::NoData { found: source.to_owned() }),
    };
    Ok(data::mnist(folder)?)
}

/// A source in words that mean the same in every folder.
pub fn from_anywhere(source: &str) -> String {
    match (known(source), std::path::absolute(source)) {
        (None, Ok(path)) => path.display().to_string(),
        _ => source.to_owned(),
    }
}

/// Makes sure that a data set is in a folder, by default the one that Kiln keeps for it.
pub fn ready(set: &DataSet, from: Option<&Path>, into: Option<&Path>) -> Result<PathBuf, Error> {
    let folder = into.map_or_else(|| data::folder(set.name), |folder| Ok(folder.to_owned()))?;
    fetch::fetch(set, from, &folder)?;
    Ok(folder)
}
