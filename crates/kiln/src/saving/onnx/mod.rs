//! ONNX files: graphs of operators with their weights, which other frameworks write and runtimes read.
//!
//! Nothing outside of this module knows ONNX' messages.

mod export;
mod import;
mod limits;
mod proto;

use std::path::Path;

use kiln_graph::Shape;
use prost::Message;
use prost::bytes::Bytes;

use super::{file_error, write_atomically};
use crate::{Error, Model, Result, memory};

/// The most bytes of a file: those of a message of protocol buffers.
const MOST_BYTES: u64 = i32::MAX as u64;

/// Writes a model and its weights.
///
/// # Errors
/// If ONNX lacks a layer, the file would exceed 2 GiB or cannot be written; an existing file stays unchanged.
pub(super) fn save(model: &Model, path: &Path) -> Result<()> {
    let message = export::export(model)?;
    let bytes = message.encoded_len() as u64;
    if bytes > MOST_BYTES {
        let expected =
            "a model of less than 2 GiB, the largest ONNX file; save it as `.keras` or in a folder".to_owned();
        return Err(Error::Argument {
            name: "path",
            expected,
            found: format!("a model of {}", memory::readable(bytes)),
        });
    }
    memory::check(|| format!("the file {}", path.display()), bytes, memory::free())?;
    write_atomically(path, &message.encode_to_vec())
}

/// Reads a model and its weights.
///
/// # Errors
/// If the file cannot be read, is not an ONNX file, or has an operator or attribute that Kiln's layers lack.
pub(super) fn load(path: &Path, input_shape: Option<&Shape>) -> Result<Model> {
    let format = |problem: String| Error::Format { path: path.to_owned(), problem };
    let bytes = std::fs::metadata(path).map_err(|source| file_error("read", path, source))?.len();
    if bytes > MOST_BYTES {
        return Err(format(format!("expected an ONNX file of less than 2 GiB, found {}", memory::readable(bytes))));
    }
    // Also for the weights in Kiln's layouts.
    memory::check(|| format!("the model {}", path.display()), bytes.saturating_mul(2), memory::free())?;
    let bytes = Bytes::from(super::read(path)?);
    let decoded = limits::check(&bytes).map_err(format)?;
    memory::check(|| format!("the model {}", path.display()), decoded, memory::free())?;
    let message = proto::ModelProto::decode(bytes);
    let message =
        message.map_err(|error| format(format!("expected an ONNX file, found damaged contents ({error})")))?;
    import::import(message, input_shape).map_err(|problem| match problem {
        import::Problem::Unsupported(problem) => format(problem),
        import::Problem::Model(error) => error,
    })
}
