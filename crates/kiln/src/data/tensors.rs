//! Data sets in safetensors files: samples under the key `x`, labels under `y`.

use std::path::Path;

use bytemuck::Pod;
use kiln_graph::Shape;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{DataError, Dataset, Labels};

/// A data set from a safetensors file with two tensors, or three:
///
/// - `x`, `[n, …]`: the samples, as `F32` (a model sees them as they are) or `U8` (a model sees them divided by 255, or by
///   the rule of [`Dataset::rescaled`]);
/// - `y`: the labels, as class indices `[n]` or `[n, 1]` of type `U8`, `U32`, `I32` or `I64`, or as one value per class
///   `[n, classes]` of type `F32`;
/// - if wanted, `sample_weight`, `[n]` of type `F32`: how much each sample counts.
///
/// Where labels are indices, there is one class more than the highest of them.
///
/// # Errors
/// [`DataError::Read`] when the file cannot be read, [`DataError::Format`] when it is no safetensors file, lacks one of
/// the tensors or has others, or a tensor has another type or shape.
///
/// # Example
/// ```no_run
/// // In Python: safetensors.numpy.save_file({"x": x_train, "y": y_train}, "train.safetensors")
/// let train = kiln::data::load_safetensors("train.safetensors")?;
/// # Ok::<(), kiln::data::DataError>(())
/// ```
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Dataset, DataError> {
    let path = path.as_ref();
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    parse(&bytes).map_err(|Problem { expected, found }| DataError::Format { path: path.to_owned(), expected, found })
}

struct Problem {
    expected: String,
    found: String,
}

impl Problem {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Problem {
        Problem { expected: expected.into(), found: found.into() }
    }

    fn with(expected: &str, key: &str, tensor: &TensorView<'_>) -> Problem {
        Problem::new(format!("{key} {expected}"), format!("{:?} {:?}", tensor.dtype(), tensor.shape()))
    }
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Problem {
        Problem::new("samples and labels that fit", error.to_string())
    }
}

fn parse(bytes: &[u8]) -> Result<Dataset, Problem> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| Problem::new("a safetensors file", format!("none ({error})")))?;
    let mut names = file.names();
    names.sort_unstable();
    let (["x", "y"] | ["sample_weight", "x", "y"], Ok(x), Ok(y)) = (&names[..], file.tensor("x"), file.tensor("y"))
    else {
        let found = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(Problem::new("the tensors x, y and perhaps sample_weight", found));
    };
    let &[samples, ref sample_shape @ ..] = x.shape() else {
        return Err(Problem::with("[n, …], the samples", "x", &x));
    };
    let (shape, labels) = (Shape::from(sample_shape), labels(&y, samples)?);
    let data = match x.dtype() {
        Dtype::U8 => Dataset::from_u8(shape, x.data().to_vec(), labels)?,
        Dtype::F32 => Dataset::from_f32(shape, values(&x), labels)?,
        _ => return Err(Problem::with("of type F32 or U8", "x", &x)),
    };
    match file.tensor("sample_weight") {
        Err(_) => Ok(data),
        Ok(weights) if weights.dtype() == Dtype::F32 && weights.shape() == [samples] => {
            Ok(data.with_sample_weights(values(&weights))?)
        }
        Ok(weights) => Err(Problem::with(&format!("[{samples}] of type F32"), "sample_weight", &weights)),
    }
}

fn labels(y: &TensorView<'_>, samples: usize) -> Result<Labels, Problem> {
    let number = |number: i64| u32::try_from(number);
    let indices: Result<Vec<u32>, _> = match (y.dtype(), y.shape()) {
        (Dtype::F32, &[n, classes]) if n == samples => return Ok(Labels::one_hot(values(y), classes)),
        (Dtype::F32, _) => return Err(Problem::with(&format!("[{samples}, classes], as x has samples"), "y", y)),
        (_, shape) if shape != [samples] && shape != [samples, 1] => {
            return Err(Problem::with(&format!("[{samples}], as x has samples"), "y", y));
        }
        (Dtype::U8, _) => Ok(values::<u8>(y).into_iter().map(u32::from).collect()),
        (Dtype::U32, _) => Ok(values(y)),
        (Dtype::I32, _) => values::<i32>(y).into_iter().map(|label| number(label.into())).collect(),
        (Dtype::I64, _) => values(y).into_iter().map(number).collect(),
        _ => {
            return Err(Problem::with(
                "of type U8, U32, I32 or I64 (class indices) or F32 (one value per class)",
                "y",
                y,
            ));
        }
    };
    let highest = |indices: &[u32]| indices.iter().max().map_or(0, |&label| label as usize + 1);
    match indices {
        Ok(indices) => Ok(Labels::index(indices.clone(), highest(&indices))),
        Err(_) => Err(Problem::new("labels of 0 or more, below 2^32, in y", "others")),
    }
}

fn values<T: Pod>(tensor: &TensorView<'_>) -> Vec<T> {
    bytemuck::pod_collect_to_vec(tensor.data())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use bytemuck::NoUninit;

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
    fn a_file_of_another_kind_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("set.safetensors");
        std::fs::write(&path, "no tensors").unwrap();
        let error = load_safetensors(&path).unwrap_err().to_string();
        assert!(error.contains("set.safetensors: expected a safetensors file, found none ("), "{error}");
    }
}
