//! Tensors in safetensors files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use kiln::bytemuck;
use kiln::data::{Dataset, load_safetensors_samples};
use kiln::graph::Shape;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensors};

use crate::error::Error;
use crate::files;

/// Reads the tensor `x` of a file, f32 or u8, as unscaled samples without labels.
pub fn samples(path: &Path) -> Result<Dataset, Error> {
    Ok(load_safetensors_samples(path)?.rescaled(1.0, 0.0))
}

/// Writes one tensor of f32.
pub fn write(path: &Path, name: &str, shape: &Shape, values: &[f32]) -> Result<(), Error> {
    write_all(path, &[(name, shape.clone(), values)])
}

/// Writes tensors of f32.
pub fn write_all(path: &Path, tensors: &[(&str, Shape, &[f32])]) -> Result<(), Error> {
    let mut end = 0;
    let info = |(name, shape, values): &(&str, Shape, &[f32])| {
        let start = end;
        end += size_of_val(*values);
        (name.to_string(), TensorInfo { dtype: Dtype::F32, shape: shape.to_vec(), data_offsets: (start, end) })
    };
    let header = Metadata::new(None, tensors.iter().map(info).collect())
        .map_err(|error| Error::Tensors { path: path.to_owned(), problem: error.to_string() })?;
    let mut header = serde_json::to_vec(&header).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    header.resize(header.len().next_multiple_of(8), b' '); // aligns the values
    let mut staged = files::stage(path)?;
    let mut write = |bytes: &[u8]| staged.write_all(bytes).map_err(Error::file("write", path));
    write(&(header.len() as u64).to_le_bytes())?;
    write(&header)?;
    // Written in place, because the values may fill half of the memory.
    tensors.iter().try_for_each(|(_, _, values)| write(bytemuck::cast_slice(values)))?;
    files::publish(staged, path)
}

/// Reads the f32 tensors of a file, by name.
pub fn read_all(path: &Path) -> Result<BTreeMap<String, Vec<f32>>, Error> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    let file = open(path, &bytes)?;
    let wrong = |name: String, found: Dtype| Error::Tensors {
        path: path.to_owned(),
        problem: format!("{name}: expected F32, found {found}"),
    };
    file.iter()
        .map(|(name, tensor)| match tensor.dtype() {
            Dtype::F32 => Ok((name.to_owned(), floats(&tensor))),
            found => Err(wrong(name.to_owned(), found)),
        })
        .collect()
}

fn open<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>, Error> {
    SafeTensors::deserialize(bytes).map_err(|error| Error::Tensors {
        path: path.to_owned(),
        problem: format!("expected a safetensors file, found something else ({error})"),
    })
}

fn floats(tensor: &TensorView<'_>) -> Vec<f32> {
    tensor.data().chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap_or_default())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use kiln::data::Values;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        write(&path, "x", &Shape::from([2, 3]), &[0.0, 1.0, 2.0, 3.0, 4.0, 5.5]).unwrap();
        let data = samples(&path).unwrap();
        assert_eq!((data.len(), data.sample_shape(), data.scale()), (2, &Shape::from([3]), 1.0));
        assert_eq!(data.values().unwrap(), Values::F32([0.0, 1.0, 2.0, 3.0, 4.0, 5.5].into()));
        write_all(&path, &[("b", Shape::from([1]), &[2.0]), ("a", Shape::from([2]), &[0.5, 1.5])]).unwrap();
        let found: Vec<_> = read_all(&path).unwrap().into_iter().collect();
        assert_eq!(found, [("a".to_owned(), vec![0.5, 1.5]), ("b".to_owned(), vec![2.0])]);
    }

    #[test]
    fn a_file_without_samples_says_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        write(&path, "conv1/kernel", &Shape::from([1]), &[1.0]).unwrap();
        let error = samples(&path).unwrap_err().to_string();
        assert!(error.ends_with("w.safetensors: expected a tensor x, found conv1/kernel"), "{error}");
        std::fs::write(&path, "none").unwrap();
        assert!(samples(&path).unwrap_err().to_string().contains("expected a safetensors file"));
    }
}
