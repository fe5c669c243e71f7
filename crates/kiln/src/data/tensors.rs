//! Data sets in safetensors files: samples under the key `x`, labels under `y`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use bytemuck::Pod;
use kiln_graph::Shape;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{DataError, Dataset, Labels};
use crate::memory;

/// The names of a data set's tensors.
const NAMES: [&str; 3] = ["sample_weight", "x", "y"];
/// The maximum size of the header in bytes, as in the safetensors library.
const HEADER: u64 = 100_000_000;

/// A data set from a safetensors file with two tensors, or three:
///
/// - `x`, `[n, …]`: the samples, as `F32` (not scaled) or `U8` (scaled by 1/255, or by [`Dataset::rescaled`]);
/// - `y`: the labels, as class indices `[n]` or `[n, 1]` of type `U8`, `U32`, `I32` or `I64`, or as one value per class
///   `[n, classes]` of type `F32`;
/// - optionally `sample_weight`, `[n]` of type `F32`.
///
/// If labels are indices, the number of classes is the highest index plus 1.
///
/// # Errors
/// [`DataError::Read`] if the file cannot be read, [`DataError::Format`] if it is not a safetensors file, has missing
/// or extra tensors, or a tensor has the wrong type or shape, [`DataError::Memory`] if a tensor does not fit in memory.
///
/// # Example
/// ```no_run
/// // In Python: safetensors.numpy.save_file({"x": x_train, "y": y_train}, "train.safetensors")
/// let train = kiln::data::load_safetensors("train.safetensors")?;
/// # Ok::<(), kiln::data::DataError>(())
/// ```
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Dataset, DataError> {
    let file = TensorFile::open(path.as_ref())?;
    let [x, y] = ["x", "y"].map(|name| file.tensor(name));
    let (Some(x), Some(y), true) = (x, y, file.names().iter().all(|name| NAMES.contains(&&**name))) else {
        return Err(file.format("the tensors x, y and perhaps sample_weight", file.list()));
    };
    let shape = file.sample_shape(x)?;
    let labels = labels(&file, y, x.samples())?;
    let data = file.data_set(x, shape, Some(labels))?;
    match file.tensor("sample_weight") {
        None => Ok(data),
        Some(weights) if weights.dtype() == Dtype::F32 && weights.shape() == [x.samples()] => {
            Ok(data.with_sample_weights(file.values(weights)?)?)
        }
        Some(weights) => Err(file.wrong(&format!("[{}] of type F32", x.samples()), weights)),
    }
}

/// Reads samples without labels from a safetensors file: its tensor `x`, `[n, …]`, as [`load_safetensors`]. The file
/// may have other tensors.
///
/// # Errors
/// [`DataError::Read`] if the file cannot be read, [`DataError::Format`] if it is not a safetensors file or `x` is
/// missing or has the wrong type or shape, [`DataError::Memory`] if it does not fit in memory.
pub fn load_safetensors_samples(path: impl AsRef<Path>) -> Result<Dataset, DataError> {
    let file = TensorFile::open(path.as_ref())?;
    let x = file.tensor("x").ok_or_else(|| file.format("a tensor x", file.list()))?;
    file.data_set(x, file.sample_shape(x)?, None)
}

/// A safetensors file whose tensors are read one by one, directly to their destination.
struct TensorFile<'a> {
    path: &'a Path,
    file: File,
    /// The start of the tensors in bytes.
    start: u64,
    header: Metadata,
}

/// A tensor of a file.
#[derive(Clone, Copy)]
struct Tensor<'a> {
    name: &'a str,
    info: &'a TensorInfo,
}

impl Tensor<'_> {
    fn dtype(&self) -> Dtype {
        self.info.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.info.shape
    }

    fn samples(&self) -> usize {
        self.info.shape.first().copied().unwrap_or_default()
    }
}

impl TensorFile<'_> {
    fn open(path: &Path) -> Result<TensorFile<'_>, DataError> {
        let unreadable = |source| DataError::Read { path: path.to_owned(), source };
        let other = |problem: String| DataError::Format {
            path: path.to_owned(),
            expected: "a safetensors file".to_owned(),
            found: format!("none ({problem})"),
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        let mut length = [0; 8];
        if bytes < length.len() as u64 {
            return Err(other(format!("{bytes} bytes")));
        }
        file.read_exact(&mut length).map_err(unreadable)?;
        let (length, rest) = (u64::from_le_bytes(length), bytes - 8);
        if length > rest.min(HEADER) {
            return Err(other(format!("a header of {length} bytes in {bytes}")));
        }
        let mut header = memory::zeroed(length as usize).map_err(unreadable)?;
        file.read_exact(&mut header).map_err(unreadable)?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| other(error.to_string()))?;
        match header.data_len() as u64 == rest - length {
            true => Ok(TensorFile { path, file, start: 8 + length, header }),
            false => Err(other(format!("{} bytes of tensors instead of {}", rest - length, header.data_len()))),
        }
    }

    /// The names of all tensors, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort_unstable();
        names
    }

    /// The names of all tensors as text.
    fn list(&self) -> String {
        let names = self.names();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn tensor<'a>(&'a self, name: &'a str) -> Option<Tensor<'a>> {
        self.header.info(name).map(|info| Tensor { name, info })
    }

    fn sample_shape(&self, x: Tensor<'_>) -> Result<Shape, DataError> {
        match x.shape() {
            [_, sample @ ..] => Ok(Shape::from(sample)),
            [] => Err(self.wrong("[n, …], the samples", x)),
        }
    }

    fn data_set(&self, x: Tensor<'_>, shape: Shape, labels: Option<Labels>) -> Result<Dataset, DataError> {
        let data = match x.dtype() {
            Dtype::U8 => Dataset::from_u8(shape, self.values(x)?, labels),
            Dtype::F32 => Dataset::from_f32(shape, self.values(x)?, labels),
            _ => return Err(self.wrong("of type F32 or U8", x)),
        };
        data.map_err(|error| self.format("samples and labels that fit", error.to_string()))
    }

    /// The values of a tensor of this type.
    fn values<T: Pod + Default>(&self, tensor: Tensor<'_>) -> Result<Vec<T>, DataError> {
        let (from, to) = tensor.info.data_offsets;
        let bytes = (to - from) as u64;
        let no_memory = || DataError::Memory {
            what: format!("the tensor {} of {}", tensor.name, self.path.display()),
            bytes,
            limit: None,
        };
        if memory::free().is_some_and(|free| bytes > free) {
            return Err(no_memory());
        }
        let mut values: Vec<T> = memory::zeroed((to - from) / size_of::<T>()).map_err(|_| no_memory())?;
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start + from as u64))
            .and_then(|_| file.read_exact(bytemuck::cast_slice_mut(&mut values)))
            .map_err(|source| DataError::Read { path: self.path.to_owned(), source })?;
        Ok(values)
    }

    fn format(&self, expected: &str, found: String) -> DataError {
        DataError::Format { path: self.path.to_owned(), expected: expected.to_owned(), found }
    }

    /// The error of an unexpected tensor.
    fn wrong(&self, expected: &str, tensor: Tensor<'_>) -> DataError {
        let found = format!("{:?} {:?}", tensor.dtype(), tensor.shape());
        self.format(&format!("{} {expected}", tensor.name), found)
    }
}

fn labels(file: &TensorFile<'_>, y: Tensor<'_>, samples: usize) -> Result<Labels, DataError> {
    let as_x = "as x has samples";
    let indices = match (y.dtype(), y.shape()) {
        (Dtype::F32, &[n, classes]) if n == samples => return Ok(Labels::one_hot(file.values(y)?, classes)),
        (Dtype::F32, _) => return Err(file.wrong(&format!("[{samples}, classes], {as_x}"), y)),
        (_, shape) if shape != [samples] && shape != [samples, 1] => {
            return Err(file.wrong(&format!("[{samples}], {as_x}"), y));
        }
        (Dtype::U8, _) => indices(file.values::<u8>(y)?),
        (Dtype::U32, _) => Ok(Some(file.values(y)?)),
        (Dtype::I32, _) => indices(file.values::<i32>(y)?),
        (Dtype::I64, _) => indices(file.values::<i64>(y)?),
        _ => return Err(file.wrong("of type U8, U32, I32 or I64 (class indices) or F32 (one value per class)", y)),
    };
    let indices = indices.map_err(|source| DataError::Read { path: file.path.to_owned(), source })?;
    let indices = indices.ok_or_else(|| file.format("labels of 0 or more, below 2^32, in y", "others".to_owned()))?;
    let classes = indices.iter().max().map_or(0, |&label| label as usize + 1);
    Ok(Labels::index(indices, classes))
}

/// Labels as indices, if all are valid.
fn indices<T: TryInto<u32>>(labels: Vec<T>) -> io::Result<Option<Vec<u32>>> {
    let mut indices = memory::with_capacity(labels.len())?;
    for label in labels {
        let Ok(index) = label.try_into() else { return Ok(None) };
        indices.push(index);
    }
    Ok(Some(indices))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use bytemuck::NoUninit;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::data::Values;

    fn load(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Result<Dataset, String> {
        let views = tensors.iter().map(|&(name, dtype, shape, data)| {
            (name.to_owned(), TensorView::new(dtype, shape.to_vec(), data).unwrap())
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        load_safetensors(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    fn bytes<T: NoUninit>(values: &[T]) -> &[u8] {
        bytemuck::cast_slice(values)
    }

    /// Three samples of two values, with these labels.
    fn labelled(dtype: Dtype, shape: &[usize], labels: &[u8]) -> Result<Dataset, String> {
        load(&[("x", Dtype::U8, &[3, 2], &[1, 2, 3, 4, 5, 6]), ("y", dtype, shape, labels)])
    }

    #[test]
    fn bytes_and_floats_are_samples() {
        let data = labelled(Dtype::U8, &[3], &[0, 1, 4]).unwrap();
        assert_eq!((data.len(), data.sample_shape(), data.classes()), (3, &Shape::from([2]), 5));
        assert_eq!(data.values().unwrap(), Values::U8([1, 2, 3, 4, 5, 6].into()));
        let x: [f32; 4] = [0.5, -1.0, 2.0, 8.0];
        let floats = load(&[("x", Dtype::F32, &[2, 1, 2], bytes(&x)), ("y", Dtype::U8, &[2], &[0, 0])]).unwrap();
        assert_eq!((floats.values().unwrap(), floats.scale()), (Values::F32(x.into()), 1.0));
    }

    #[test]
    fn labels_may_be_integers_of_any_type_and_one_value_per_class() {
        let expected = Labels::index(vec![2, 0, 1], 3);
        let column = [3, 1];
        assert_eq!(labelled(Dtype::U8, &[3], &[2, 0, 1]).unwrap().labels(), Some(&expected));
        assert_eq!(labelled(Dtype::U32, &[3], bytes(&[2_u32, 0, 1])).unwrap().labels(), Some(&expected));
        assert_eq!(labelled(Dtype::I32, &column, bytes(&[2, 0, 1])).unwrap().labels(), Some(&expected));
        assert_eq!(labelled(Dtype::I64, &column, bytes(&[2_i64, 0, 1])).unwrap().labels(), Some(&expected));
        let hot: [f32; 6] = [1.0, 0.0, 0.5, 0.5, 0.0, 1.0];
        let data = labelled(Dtype::F32, &[3, 2], bytes(&hot)).unwrap();
        assert_eq!(data.labels(), Some(&Labels::one_hot(hot.to_vec(), 2)));
    }

    #[test]
    fn wrong_tensors_are_named_with_type_and_shape() {
        let error = |dtype, shape: &[usize], labels: &[u8]| labelled(dtype, shape, labels).unwrap_err();
        assert_eq!(error(Dtype::U8, &[2], &[0; 2]), "FILE: expected y [3], as x has samples, found U8 [2]");
        assert_eq!(error(Dtype::F32, &[3], &[0; 12]), "FILE: expected y [3, classes], as x has samples, found F32 [3]");
        assert_eq!(
            error(Dtype::F64, &[3], &[0; 24]),
            "FILE: expected y of type U8, U32, I32 or I64 (class indices) or F32 (one value per class), found F64 [3]"
        );
        assert_eq!(
            error(Dtype::I32, &[3], bytes(&[0, -1, 0])),
            "FILE: expected labels of 0 or more, below 2^32, in y, found others"
        );
        let halves = load(&[("x", Dtype::F16, &[1, 1], &[0; 2]), ("y", Dtype::U8, &[1], &[0])]).unwrap_err();
        assert_eq!(halves, "FILE: expected x of type F32 or U8, found F16 [1, 1]");
        let scalar = load(&[("x", Dtype::U8, &[], &[0]), ("y", Dtype::U8, &[1], &[0])]).unwrap_err();
        assert_eq!(scalar, "FILE: expected x [n, …], the samples, found U8 []");
    }

    #[test]
    fn missing_and_other_tensors_are_an_error_that_lists_what_is_there() {
        let x = ("x", Dtype::U8, &[1, 1][..], &[0][..]);
        let y = ("y", Dtype::U8, &[1][..], &[0][..]);
        let expected = "FILE: expected the tensors x, y and perhaps sample_weight, found";
        assert_eq!(load(&[x]).unwrap_err(), format!("{expected} x"));
        assert_eq!(load(&[x, y, ("z", Dtype::U8, &[1], &[0])]).unwrap_err(), format!("{expected} x, y, z"));
    }

    #[test]
    fn samples_may_have_weights() {
        let (x, y) = (("x", Dtype::U8, &[2, 1][..], &[0; 2][..]), ("y", Dtype::U8, &[2][..], &[0; 2][..]));
        let weighted = |dtype, shape, weights| load(&[x, y, ("sample_weight", dtype, shape, weights)]);
        let data = weighted(Dtype::F32, &[2], bytes(&[0.5_f32, 2.0])).unwrap();
        assert_eq!(data.sample_weights(), Some(&[0.5, 2.0].into()));
        let error = weighted(Dtype::U8, &[2], &[1, 2]).unwrap_err();
        assert_eq!(error, "FILE: expected sample_weight [2] of type F32, found U8 [2]");
    }

    #[test]
    fn samples_are_read_without_labels_beside_other_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let write = |names: [&str; 2]| {
            let view = |data: &'static [u8]| TensorView::new(Dtype::U8, vec![2, 1], data).unwrap();
            let tensors = names.into_iter().zip([view(&[7, 8]), view(&[1, 2])]);
            std::fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
        };
        write(["x", "z"]);
        let data = load_safetensors_samples(&path).unwrap();
        assert_eq!((data.values().unwrap(), data.labels()), (Values::U8([7, 8].into()), None));
        write(["w", "z"]);
        let error = load_safetensors_samples(&path).unwrap_err().to_string();
        assert!(error.ends_with("x.safetensors: expected a tensor x, found w, z"), "{error}");
    }

    #[test]
    fn a_tensor_that_does_not_fit_the_memory_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.safetensors");
        // A sparse file of 4 TiB, which uses no disk space.
        let (samples, hole) = (1_u64 << 42, 1_u64 << 42);
        let header = format!(r#"{{"x":{{"dtype":"U8","shape":[{samples}],"data_offsets":[0,{hole}]}}}}"#);
        std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        if file.set_len(8 + header.len() as u64 + hole).is_err() {
            return; // the file system does not support sparse files
        }
        let error = load_safetensors_samples(&path).unwrap_err();
        assert!(matches!(&error, DataError::Memory { bytes, .. } if *bytes == hole), "{error}");
        assert!(error.to_string().starts_with("not enough memory for the tensor x of "), "{error}");
    }

    #[test]
    fn a_file_of_another_kind_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        std::fs::write(&path, "no tensors").unwrap();
        let error = load_safetensors(&path).unwrap_err().to_string();
        assert!(error.contains("set.safetensors: expected a safetensors file, found none ("), "{error}");
    }
}
