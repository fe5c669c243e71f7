//! Data sets distributed as one archive.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::{download, from_mirror_file, install};
use crate::error::{Error, chain};
use crate::files;

/// A data set that is an archive of files, a `.tar.gz`.
#[derive(Debug)]
pub struct ArchiveSet {
    /// Its name on the command line and of its folder.
    pub name: &'static str,
    /// The archive's name.
    pub file: &'static str,
    /// The sha256 of the archive.
    pub sha256: &'static str,
    /// The files to extract, from any folder of the archive, and their sizes in bytes if known.
    pub files: &'static [(&'static str, Option<u64>)],
    /// The URLs of its mirrors, with a trailing slash.
    pub mirrors: &'static [&'static str],
}

impl ArchiveSet {
    /// Ensures that the folder `into` contains all files with the right sizes. Otherwise extracts them from the archive
    /// in the folder `from`, if set, or from the first mirror that works.
    ///
    /// Returns whether anything was downloaded or copied.
    pub fn fetch(&self, from: Option<&Path>, into: &Path) -> Result<bool, Error> {
        if self.is_complete(into) {
            return Ok(false);
        }
        std::fs::create_dir_all(into).map_err(Error::file("create the folder", into))?;
        let Some(folder) = from else {
            return self.download(&download::agent(), self.mirrors, into).map(|()| true);
        };
        let archive = folder.join(self.file);
        if !archive.is_file() {
            return Err(Error::NoArchive { folder: folder.to_owned(), name: self.file });
        }
        self.install(&archive, &archive.display().to_string(), into)?;
        Ok(true)
    }

    fn is_complete(&self, folder: &Path) -> bool {
        self.files.iter().all(|(name, size)| {
            let found = folder.join(name).metadata().ok().filter(|data| data.is_file());
            found.is_some_and(|data| size.is_none_or(|size| size == data.len()))
        })
    }

    pub(super) fn download(&self, agent: &ureq::Agent, mirrors: &[&str], into: &Path) -> Result<(), Error> {
        let mut tried = Vec::new();
        for mirror in mirrors {
            eprintln!("{}: from {mirror}", self.name);
            let (url, part) = (format!("{mirror}{}", self.file), into.join(format!("{}.part", self.file)));
            let install = || self.install(&part, &url, into);
            match from_mirror_file(agent, &url, &part, self.file, &install) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    eprintln!("  {}", chain(&error));
                    tried.push(((*mirror).to_owned(), error));
                }
            }
        }
        let advice = format!(
            "to install it manually, put {} in a folder and run `kiln data {} --from FOLDER`",
            self.file, self.name
        );
        Err(Error::NoSource { set: self.name, tried, advice })
    }

    /// Extracts the files from the archive at `path` (from `origin`) after verifying its hash. Each file is created
    /// atomically.
    fn install(&self, path: &Path, origin: &str, into: &Path) -> Result<(), Error> {
        let open = || File::open(path).map_err(Error::file("read", path));
        let unpack = |error| Error::file("unpack", path)(error);
        let found = install::copy(&mut open()?, &mut io::sink()).map_err(Error::file("read", path))?;
        if found != self.sha256 {
            return Err(Error::Hash { file: origin.to_owned(), expected: self.sha256, found });
        }
        let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::new(open()?)));
        for entry in archive.entries().map_err(unpack)? {
            let mut entry = entry.map_err(unpack)?;
            let path = entry.path().map_err(unpack)?.into_owned();
            let Some((name, _)) = self.files.iter().find(|(name, _)| path.ends_with(name)) else { continue };
            let target = into.join(name);
            let mut staged = files::stage(&target)?;
            io::copy(&mut entry, staged.as_file_mut()).map_err(unpack)?;
            files::publish(staged, &target)?;
        }
        Ok(())
    }
}

/// CIFAR-10: ten classes of animals and vehicles; 50,000 training and 10,000 test images.
pub const CIFAR10: ArchiveSet = ArchiveSet {
    name: "cifar10",
    file: "cifar-10-binary.tar.gz",
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    files: &[
        ("data_batch_1.bin", Some(30_730_000)),
        ("data_batch_2.bin", Some(30_730_000)),
        ("data_batch_3.bin", Some(30_730_000)),
        ("data_batch_4.bin", Some(30_730_000)),
        ("data_batch_5.bin", Some(30_730_000)),
        ("test_batch.bin", Some(30_730_000)),
        ("batches.meta.txt", None),
    ],
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
};

/// CIFAR-100: a hundred classes; 50,000 training and 10,000 test images.
pub const CIFAR100: ArchiveSet = ArchiveSet {
    name: "cifar100",
    file: "cifar-100-binary.tar.gz",
    sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    files: &[
        ("train.bin", Some(153_700_000)),
        ("test.bin", Some(30_740_000)),
        ("fine_label_names.txt", None),
        ("coarse_label_names.txt", None),
    ],
    mirrors: &["https://www.cs.toronto.edu/~kriz/"],
};
