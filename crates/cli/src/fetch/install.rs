//! Verifying files by hash and installing them.

use std::io::{self, Read, Write};
use std::path::Path;

use kiln::data::{MNIST_FILES, idx};
use sha2::{Digest, Sha256};

use super::DataSet;
use crate::error::Error;
use crate::files;

/// Verifies the contents of file `index` of a set, at `path`.
pub fn verify(set: &DataSet, index: usize, path: &Path) -> Result<(), Error> {
    let found = unpack(path, &mut io::sink()).map_err(Error::file("read", path))?;
    compare(set, index, &path.display().to_string(), found)
}

/// Copies file `index` of a set from `path` (from `origin`) to the folder `into`, decompressed, after verifying its
/// hash. The file is created atomically.
pub fn install(set: &DataSet, index: usize, path: &Path, origin: &str, into: &Path) -> Result<(), Error> {
    let target = into.join(MNIST_FILES[index]);
    let mut staged = files::stage(&target)?;
    let found = unpack(path, staged.as_file_mut()).map_err(Error::file("unpack", path))?;
    compare(set, index, origin, found)?;
    files::publish(staged, &target)
}

fn compare(set: &DataSet, index: usize, file: &str, found: String) -> Result<(), Error> {
    let expected = set.sha256[index];
    if found == expected { Ok(()) } else { Err(Error::Hash { file: file.to_owned(), expected, found }) }
}

/// The maximum size of a decompressed file of a set, in bytes.
const LARGEST: u64 = 1 << 30;

/// Copies the decompressed contents, up to the maximum size, and returns their sha256.
fn unpack(path: &Path, into: &mut dyn Write) -> io::Result<String> {
    copy(&mut idx::open(path)?.take(LARGEST), into)
}

/// Copies all data and returns their sha256.
pub fn copy(reader: &mut dyn Read, into: &mut dyn Write) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&buffer[..count]);
        into.write_all(&buffer[..count])?;
    }
}
