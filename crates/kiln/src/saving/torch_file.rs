//! PyTorch's `.pth` and `.pt` files of state dicts: a zip archive of a pickled object and the elements of each storage, or
//! before PyTorch 1.6, pickled objects followed by the elements.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use kiln_graph::Shape;
use zip::ZipArchive;

use super::file_error;
use super::pickle::{self, Object, Pickle, PickledTensor};
use super::tensors::{KernelLayout, arrange};
use crate::{Error, Result};

/// The first bytes of a file before PyTorch 1.6: a pickled magic number.
pub(super) const OLD_MAGIC: [u8; 8] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46];
const OBJECT: &str = "data.pkl";

/// A state dict.
pub(crate) struct TorchFile {
    path: PathBuf,
    tensors: Vec<(String, PickledTensor)>,
    elements: Elements,
}

/// The places of the elements in the file.
enum Elements {
    /// The members of the archive, by storage.
    Archive(HashMap<String, String>),
    /// The offsets in bytes, by storage.
    Old(HashMap<String, u64>),
}

impl TorchFile {
    /// Opens an archive, if it is one of PyTorch's.
    ///
    /// # Errors
    /// If the file cannot be read, or its object is not a state dict.
    pub fn open(path: &Path) -> Result<Option<TorchFile>> {
        let file = File::open(path).map_err(|source| file_error("read", path, source))?;
        // Another reader reports the fault of a damaged archive.
        let Ok(mut archive) = ZipArchive::new(BufReader::new(file)) else { return Ok(None) };
        let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
        let object = names.iter().find(|name| *name == OBJECT || name.ends_with(&format!("/{OBJECT}")));
        let Some(object) = object else { return Ok(None) };
        let folder = object.trim_end_matches(OBJECT);
        let format = |problem: String| format_error(path, problem);
        let mut bytes = Vec::new();
        let member = archive.by_name(object).map_err(|error| format(format!("{object}: {error}")))?;
        let read = member.take(pickle::MOST + 1).read_to_end(&mut bytes);
        read.map_err(|error| format(format!("{object}: {error}")))?;
        if bytes.len() as u64 > pickle::MOST {
            return Err(format(format!("{object}: expected at most {} bytes, found more", pickle::MOST)));
        }
        if names.iter().any(|name| *name == format!("{folder}byteorder")) {
            let mut order = String::new();
            let member = archive.by_name(&format!("{folder}byteorder")).map_err(|error| format(error.to_string()))?;
            member.take(16).read_to_string(&mut order).map_err(|error| format(format!("byteorder: {error}")))?;
            if order.trim() != "little" {
                return Err(format(format!("byteorder: expected little, found {order}")));
            }
        }
        let storages = format!("{folder}data/");
        let elements = names.iter().filter_map(|name| Some((name.strip_prefix(&storages)?.to_owned(), name.clone())));
        let elements = Elements::Archive(elements.collect());
        let tensors = Pickle::read(&bytes).and_then(Object::tensors).map_err(format)?;
        Ok(Some(TorchFile { path: path.to_owned(), tensors, elements }))
    }

    /// Opens a file in the format before PyTorch 1.6.
    ///
    /// # Errors
    /// If the file cannot be read, or its object is not a state dict.
    pub fn open_old(path: &Path) -> Result<TorchFile> {
        let format = |problem: String| format_error(path, problem);
        let failed = |source| file_error("read", path, source);
        let mut file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut start = Vec::new();
        (&mut file).take(pickle::MOST).read_to_end(&mut start).map_err(failed)?;
        let mut at = 0;
        let mut next = || {
            let object = Pickle::read(start.get(at..).unwrap_or_default());
            let object = object.map_err(|problem| format_error(path, problem))?;
            at += object.length;
            Ok::<Object, Error>(object)
        };
        for _ in ["magic number", "version", "system"] {
            next()?;
        }
        let (object, keys) = (next()?, next()?);
        let tensors = object.tensors().map_err(format)?;
        let keys = keys.texts().map_err(format)?;
        let storages: HashMap<&str, &pickle::Storage> =
            tensors.iter().map(|(_, tensor)| (tensor.storage.key.as_str(), &tensor.storage)).collect();
        let (mut offsets, mut offset) = (HashMap::new(), at as u64);
        for key in keys {
            let width = storages.get(key.as_str()).and_then(|storage| width(&storage.dtype));
            let Some(width) = width else {
                return Err(format(format!(
                    "storage {key}: expected one of a tensor in the state dict, found another"
                )));
            };
            let mut count = [0; 8];
            file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut count)).map_err(failed)?;
            offsets.insert(key, offset + 8);
            let bytes = u64::from_le_bytes(count).saturating_mul(width as u64);
            offset = offset.saturating_add(8).saturating_add(bytes);
            if offset > length {
                return Err(format(format!("expected {offset} bytes or more, found {length}: the file is truncated")));
            }
        }
        Ok(TorchFile { path: path.to_owned(), tensors, elements: Elements::Old(offsets) })
    }

    /// The names and shapes of all tensors, and the unsupported element types.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Shape, Option<String>)> {
        self.tensors.iter().map(|(name, tensor)| {
            let dtype = tensor.storage.dtype.as_str();
            let unread = match dtype {
                "Float" | "Half" | "BFloat16" if tensor.strides.is_some() => None,
                "Float" | "Half" | "BFloat16" => Some(format!("{dtype} with gaps")),
                other => Some(other.to_owned()),
            };
            (name.as_str(), Shape::from(&tensor.shape[..]), unread)
        })
    }

    /// Reads a tensor to a slice of the same size.
    ///
    /// # Errors
    /// If the file cannot be read or the tensor has another size.
    pub fn read(&self, tensor: usize, layout: KernelLayout, out: &mut [f32]) -> Result<()> {
        let format = |problem: String| format_error(&self.path, problem);
        let (name, tensor) = self.tensors.get(tensor).ok_or_else(|| format(format!("it has no tensor {tensor}")))?;
        let shape = Shape::from(&tensor.shape[..]);
        if shape.elements() != out.len() {
            return Err(format(format!("{name}: expected {} values, found {shape}", out.len())));
        }
        let Some(width) = width(&tensor.storage.dtype).filter(|_| !out.is_empty()) else { return Ok(()) };
        let skipped = tensor.offset.saturating_mul(width as u64);
        let mut bytes = vec![0; out.len() * width];
        let failed = |error: String| format(format!("{name}: {error}"));
        let mut file = File::open(&self.path).map_err(|source| file_error("read", &self.path, source))?;
        match &self.elements {
            Elements::Archive(members) => {
                let member = members.get(&tensor.storage.key);
                let member =
                    member.ok_or_else(|| failed(format!("its elements, data/{}, are missing", tensor.storage.key)))?;
                let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| failed(error.to_string()))?;
                let mut member = archive.by_name(member).map_err(|error| failed(error.to_string()))?;
                let skipped = std::io::copy(&mut (&mut member).take(skipped), &mut std::io::sink()).map(|_| ());
                skipped.and_then(|()| member.read_exact(&mut bytes)).map_err(|error| failed(error.to_string()))?;
            }
            Elements::Old(offsets) => {
                let start =
                    offsets.get(&tensor.storage.key).ok_or_else(|| failed("its elements are missing".to_owned()))?;
                let seek = file.seek(SeekFrom::Start(start.saturating_add(skipped)));
                seek.and_then(|_| file.read_exact(&mut bytes)).map_err(|error| failed(error.to_string()))?;
            }
        }
        let element = |index: usize| &bytes[tensor.place(index) * width..][..width];
        let value = |index: usize| match (tensor.storage.dtype.as_str(), element(index)) {
            ("Half", &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
            ("BFloat16", &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
            ("Float", &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            _ => f32::NAN,
        };
        let rows = tensor.shape.first().copied().unwrap_or(1);
        arrange(layout, [rows, out.len() / rows], 0..rows, value, out);
        Ok(())
    }
}

/// The bytes of an element.
fn width(dtype: &str) -> Option<usize> {
    match dtype {
        "Byte" | "Char" | "Bool" => Some(1),
        "Half" | "BFloat16" | "Short" => Some(2),
        "Float" | "Int" => Some(4),
        "Double" | "Long" => Some(8),
        _ => None,
    }
}

fn format_error(path: &Path, problem: String) -> Error {
    Error::Format { path: path.to_owned(), problem }
}
