//! Safetensors files: Kiln's own, with keys `layer/variable`, and others. Tensors are read one by one, a few MiB at a
//! time, so that a file is never in memory as a whole.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use kiln_graph::Shape;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};

use super::{file_error, write_atomically};
use crate::weights::Weight;
use crate::{Error, Result, WeightsError};

/// The number of values read at a time, unless one row of a tensor has more.
const BLOCK: usize = 1 << 20;

/// A safetensors file.
pub(crate) struct TensorFile {
    path: PathBuf,
    file: File,
    /// The start of the tensors in bytes.
    start: u64,
    tensors: Vec<(String, TensorInfo)>,
    pub metadata: HashMap<String, String>,
}

/// The layout of a tensor in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KernelLayout {
    /// Kiln's layout.
    Keras,
    /// PyTorch's `[outputs, channels, positions]`, which is `[positions, channels, outputs]` in Kiln: kernels of
    /// convolutions and dense layers; the latter have one position unless they follow flattened images.
    Torch { channels: usize },
}

/// Writes weights to a file.
pub(crate) fn save_weights(path: &Path, weights: &[Weight]) -> Result<()> {
    write_tensors(path, weights, None)
}

/// Writes tensors and metadata to a file.
pub(crate) fn write_tensors(path: &Path, weights: &[Weight], metadata: Option<HashMap<String, String>>) -> Result<()> {
    let format =
        |error: safetensors::SafeTensorError| Error::Format { path: path.to_owned(), problem: error.to_string() };
    let bytes: Vec<Vec<u8>> =
        weights.iter().map(|weight| weight.values.iter().flat_map(|value| value.to_le_bytes()).collect()).collect();
    let mut views = Vec::with_capacity(weights.len());
    for (weight, bytes) in weights.iter().zip(&bytes) {
        let view = TensorView::new(Dtype::F32, weight.shape.to_vec(), bytes).map_err(format)?;
        views.push((weight.name.as_str(), view));
    }
    let file = safetensors::serialize(views, metadata).map_err(format)?;
    write_atomically(path, &file)
}

impl TensorFile {
    /// # Errors
    /// If the file cannot be read or is not a safetensors file.
    pub fn open(path: &Path) -> Result<TensorFile> {
        let failed = |source| file_error("read", path, source);
        let format = |problem: String| {
            let problem = format!("expected a safetensors file, found something else ({problem})");
            Error::Format { path: path.to_owned(), problem }
        };
        let mut file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut length = [0; 8];
        if bytes < length.len() as u64 {
            return Err(format(format!("{bytes} bytes")));
        }
        file.read_exact(&mut length).map_err(failed)?;
        let length = u64::from_le_bytes(length);
        let Some(after) = bytes.checked_sub(8).and_then(|rest| rest.checked_sub(length)) else {
            return Err(format(format!("a header of {length} bytes in {bytes}")));
        };
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(failed)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| format(error.to_string()))?;
        if after != header.data_len() as u64 {
            return Err(format(format!("{after} bytes of tensors, expected {} by the header", header.data_len())));
        }
        let name_and_info = |name: String| header.info(&name).map(|info| (name.clone(), info.clone()));
        let tensors = header.offset_keys().into_iter().filter_map(name_and_info).collect();
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(TensorFile { path: path.to_owned(), file, start: 8 + length, tensors, metadata })
    }

    /// The names and shapes of all tensors, and the unsupported element types.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Shape, Option<String>)> {
        self.tensors.iter().map(|(name, info)| {
            let read = matches!(info.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
            (name.as_str(), Shape::from(&info.shape[..]), (!read).then(|| info.dtype.to_string()))
        })
    }

    /// Reads a tensor to a slice of the same size.
    ///
    /// # Errors
    /// If the file cannot be read or the tensor has another size.
    pub fn read(&self, tensor: usize, layout: KernelLayout, out: &mut [f32]) -> Result<()> {
        let format = |problem: String| Error::Format { path: self.path.clone(), problem };
        let (name, info) = self.tensors.get(tensor).ok_or_else(|| format(format!("it has no tensor {tensor}")))?;
        let (rows, values) = (info.shape.first().copied().unwrap_or(1), info.shape.iter().product::<usize>());
        if values != out.len() {
            let shape = Shape::from(&info.shape[..]);
            return Err(format(format!("{name}: expected {} values, found {shape}", out.len())));
        }
        if values == 0 {
            return Ok(());
        }
        let failed = |source| file_error("read", &self.path, source);
        let width = info.dtype.bitsize() / 8;
        let (row, mut file) = (values / rows, &self.file);
        file.seek(SeekFrom::Start(self.start + info.data_offsets.0 as u64)).map_err(failed)?;
        let rows_at_once = (BLOCK / row).clamp(1, rows);
        let mut bytes = vec![0; rows_at_once * row * width];
        for first in (0..rows).step_by(rows_at_once) {
            let count = rows_at_once.min(rows - first);
            let bytes = &mut bytes[..count * row * width];
            file.read_exact(bytes).map_err(failed)?;
            let value = |index: usize| value(info.dtype, &bytes[index * width..][..width]);
            arrange(layout, [rows, row], first..first + count, value, out);
        }
        Ok(())
    }

    /// Reads all tensors. `model` is named in the error for unsupported types.
    ///
    /// # Errors
    /// If the file cannot be read or a type is unsupported.
    pub fn read_all(&self, model: &str) -> Result<Vec<Weight>> {
        let mut error = WeightsError::new(model, &self.path.display().to_string());
        let mut weights = Vec::with_capacity(self.tensors.len());
        for (index, (name, shape, unread)) in self.tensors().enumerate() {
            if let Some(unread) = unread {
                error.mistyped.push((name.to_owned(), unread));
                continue;
            }
            let mut values = vec![0.0; shape.elements()];
            self.read(index, KernelLayout::Keras, &mut values)?;
            weights.push(Weight { name: name.to_owned(), shape, values });
        }
        if error.is_empty() { Ok(weights) } else { Err(error.into()) }
    }
}

/// Writes some rows of a tensor of `[rows, values of a row]` to their place in Kiln's layout. `value` has the index of a
/// value within these rows.
pub(super) fn arrange(
    layout: KernelLayout,
    [rows, row]: [usize; 2],
    chosen: Range<usize>,
    value: impl Fn(usize) -> f32,
    out: &mut [f32],
) {
    match layout {
        KernelLayout::Keras => {
            let out = &mut out[chosen.start * row..chosen.end * row];
            out.iter_mut().enumerate().for_each(|(index, out)| *out = value(index));
        }
        KernelLayout::Torch { channels } => {
            let positions = row / channels;
            for (index, out) in out.chunks_exact_mut(rows).enumerate() {
                let column = index % channels * positions + index / channels;
                let out = &mut out[chosen.clone()];
                out.iter_mut().enumerate().for_each(|(index, out)| *out = value(index * row + column));
            }
        }
    }
}

/// The value of these bytes.
fn value(dtype: Dtype, bytes: &[u8]) -> f32 {
    match (dtype, bytes) {
        (Dtype::F16, &[a, b]) => f16::from_le_bytes([a, b]).to_f32(),
        (Dtype::BF16, &[a, b]) => bf16::from_le_bytes([a, b]).to_f32(),
        (_, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn written(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> (tempfile::TempDir, TensorFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let view = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        std::fs::write(&path, safetensors::serialize([("a/kernel", view)], None).unwrap()).unwrap();
        let file = TensorFile::open(&path).unwrap();
        (folder, file)
    }

    fn bytes(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn saved_weights_read_back_with_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        let values = vec![0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, 3.0];
        let weights = vec![Weight { name: "a/kernel".to_owned(), shape: Shape::from([2, 3]), values }];
        save_weights(&path, &weights).unwrap();
        assert_eq!(TensorFile::open(&path).unwrap().read_all("m").unwrap(), weights);
    }

    #[test]
    fn halves_of_both_kinds_are_read() {
        // 1, -2.5, 65504 and the smallest subnormal as F16; 1, -2.5, 3.390625e38 as BF16.
        let halves: [u16; 4] = [0x3c00, 0xc100, 0x7bff, 0x0001];
        let (_folder, file) = written(Dtype::F16, &[4], &halves.map(u16::to_le_bytes).concat());
        assert_eq!(file.read_all("m").unwrap()[0].values, [1.0, -2.5, 65504.0, 2f32.powi(-24)]);
        let halves: [u16; 3] = [0x3f80, 0xc020, 0x7f7f];
        let (_folder, file) = written(Dtype::BF16, &[3], &halves.map(u16::to_le_bytes).concat());
        assert_eq!(file.read_all("m").unwrap()[0].values, [1.0, -2.5, f32::from_bits(0x7f7f_0000)]);
    }

    #[test]
    fn a_kernel_of_pytorch_lies_outputs_first() {
        // [outputs 2, channels 3, height 1, width 2] to [height, width, channels, outputs].
        let (_folder, file) = written(Dtype::F32, &[2, 3, 1, 2], &bytes((0..12).map(|value| value as f32)));
        let mut out = [0.0; 12];
        file.read(0, KernelLayout::Torch { channels: 3 }, &mut out).unwrap();
        assert_eq!(out, [0.0, 6.0, 2.0, 8.0, 4.0, 10.0, 1.0, 7.0, 3.0, 9.0, 5.0, 11.0]);
    }

    #[test]
    fn blocks_of_a_large_tensor_come_together() {
        // Three blocks of rows, the last one smaller.
        let (rows, row) = (5, BLOCK / 2 - 1);
        let (_folder, file) =
            written(Dtype::F32, &[rows, row], &bytes((0..rows * row).map(|value| (value % 1021) as f32)));
        let mut out = vec![0.0; rows * row];
        file.read(0, KernelLayout::Keras, &mut out).unwrap();
        assert!(out.iter().enumerate().all(|(index, &value)| value == (index % 1021) as f32));
        file.read(0, KernelLayout::Torch { channels: row }, &mut out).unwrap();
        let transposed = |index: usize| (index % rows * row + index / rows) % 1021;
        assert!(out.iter().enumerate().all(|(index, &value)| value == transposed(index) as f32));
    }

    #[test]
    fn a_truncated_file_and_another_element_type_are_errors() {
        let (folder, file) = written(Dtype::I32, &[1], &[0; 4]);
        let error = file.read_all("m").unwrap_err().to_string();
        assert!(error.ends_with("does not fit model `m`:\n  a/kernel is I32, expected F32, F16 or BF16"), "{error}");

        let path = folder.path().join("w.safetensors");
        let whole = std::fs::read(&path).unwrap();
        for bytes in [0, 3, 8, 30, whole.len() - 1] {
            std::fs::write(&path, &whole[..bytes]).unwrap();
            let error = TensorFile::open(&path).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("w.safetensors: expected a safetensors file, found something else ("), "{error}");
        }
    }
}
