//! Keras 3's `.keras` files: a zip archive of the model as JSON, its weights as HDF5, and metadata.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use serde_json::{Value, json};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::file_error;
use crate::{Error, Result, files};

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.weights.h5";
const METADATA: &str = "metadata.json";
/// The first version of Keras whose format this is.
pub(super) const KERAS_VERSION: &str = "3.3.0";
/// The largest JSON that is read, in bytes. NASNetLarge has 2 MB.
const MOST_JSON: u64 = 32 << 20;

/// The architecture in a `.keras` file.
///
/// # Errors
/// If the file cannot be read or is not such a file.
pub(super) fn config(path: &Path) -> Result<Value> {
    let bytes = member(path, CONFIG, MOST_JSON)?;
    serde_json::from_slice(&bytes).map_err(|error| format(path, format!("{CONFIG}: {error}")))
}

/// The bytes of a member, of at most `most` bytes.
///
/// # Errors
/// If the file cannot be read or is not a `.keras` file, or the member is larger or damaged.
pub(super) fn member(path: &Path, name: &str, most: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|source| file_error("read", path, source))?;
    let damaged = |error: String| format(path, format!("expected a `.keras` file, found a damaged archive ({error})"));
    let mut archive = ZipArchive::new(file).map_err(|error| damaged(error.to_string()))?;
    let mut names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    names.sort();
    let member = match archive.by_name(name) {
        Ok(member) => member,
        Err(ZipError::FileNotFound) => {
            let found = if names.is_empty() { "none".to_owned() } else { shown(&names) };
            return Err(format(path, format!("expected a `.keras` file with a member {name}, found {found}")));
        }
        Err(error) => return Err(damaged(format!("{name}: {error}"))),
    };
    let larger = |found: String| format(path, format!("{name}: expected at most {most} bytes, found {found}"));
    if member.size() > most {
        return Err(larger(member.size().to_string()));
    }
    let mut bytes = Vec::new();
    // An archive may hold more than it says.
    member.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| damaged(format!("{name}: {error}")))?;
    if bytes.len() as u64 > most {
        return Err(larger("more".to_owned()));
    }
    Ok(bytes)
}

/// The first of many names.
fn shown(names: &[String]) -> String {
    const MOST: usize = 8;
    let more = if names.len() > MOST { ", …" } else { "" };
    format!("{}{more}", names.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// Writes a `.keras` file, uncompressed as Keras does.
///
/// # Errors
/// If the file cannot be written; an existing one stays unchanged.
pub(super) fn write(path: &Path, config: &str, weights: &[u8]) -> Result<()> {
    let failed = |source| file_error("write", path, source);
    let mut staged = files::stage(path).map_err(failed)?;
    let metadata = json!({"keras_version": KERAS_VERSION, "written_by": concat!("Kiln ", env!("CARGO_PKG_VERSION"))});
    let mut archive = ZipWriter::new(&mut staged);
    let mut add = |name: &str, bytes: &[u8]| {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() >= u32::MAX as usize);
        archive.start_file(name, options)?;
        archive.write_all(bytes).map_err(ZipError::Io)
    };
    let written = [(METADATA, metadata.to_string().as_bytes()), (CONFIG, config.as_bytes()), (WEIGHTS, weights)]
        .into_iter()
        .try_for_each(|(name, bytes)| add(name, bytes));
    let written = written.and_then(|()| archive.finish().map(|_| ()));
    written.map_err(|error| failed(std::io::Error::from(error)))?;
    files::publish(staged, path).map_err(failed)
}

fn format(path: &Path, problem: String) -> Error {
    Error::Format { path: path.to_owned(), problem }
}
