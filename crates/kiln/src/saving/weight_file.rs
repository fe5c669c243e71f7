//! Weight files of all supported formats, detected by their first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use kiln_graph::Shape;

use super::tensors::{KernelLayout, TensorFile};
use super::{file_error, torch_names};
#[cfg(not(all(feature = "hdf5", feature = "onnx")))]
use crate::Error;
use crate::Result;
use crate::network::Network;

#[cfg(feature = "hdf5")]
use super::hdf5::Hdf5Weights;
#[cfg(feature = "hdf5")]
use super::torch_file::{OLD_MAGIC, TorchFile};

/// A tensor of a file, and its variable.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// `layer/variable` with Keras' names; the file's name, if no such variable is known.
    pub name: String,
    /// The extents in Keras' layout.
    pub shape: Shape,
    /// The index of the tensor in the file.
    pub place: usize,
    pub layout: KernelLayout,
    /// The index of a tensor of factors along the last axis, by which the values are multiplied.
    pub scale: Option<usize>,
    /// The element type, if it is unsupported.
    pub unread: Option<String>,
}

/// A weight file.
pub(crate) enum WeightFile {
    SafeTensors(TensorFile),
    #[cfg(feature = "hdf5")]
    Hdf5(Hdf5Weights),
    #[cfg(feature = "hdf5")]
    Torch(TorchFile),
}

impl WeightFile {
    /// Opens a file, and lists its tensors for a model. With `by_name`, the model's names take precedence over the
    /// order of the file.
    ///
    /// # Errors
    /// If the file cannot be read or has an unsupported format.
    pub fn open(path: &Path, network: &Network, by_name: bool) -> Result<(WeightFile, Vec<Candidate>)> {
        match &first_bytes(path)? {
            b"\x89HDF\r\n\x1a\n" => open_hdf5(path, network, by_name),
            [b'P', b'K', 3 | 5 | 7, ..] => open_archive(path, network, by_name),
            #[cfg(feature = "hdf5")]
            &OLD_MAGIC => open_torch(TorchFile::open_old(path)?, network),
            _ => {
                let file = TensorFile::open(path)?;
                let candidates = torch_names::candidates(listed(file.tensors()), network);
                Ok((WeightFile::SafeTensors(file), candidates))
            }
        }
    }

    /// Reads a tensor to a slice of its size.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self, candidate: &Candidate, out: &mut [f32]) -> Result<()> {
        match self {
            WeightFile::SafeTensors(file) => {
                scaled(candidate, out, |tensor, layout, out| file.read(tensor, layout, out))
            }
            #[cfg(feature = "hdf5")]
            WeightFile::Torch(file) => scaled(candidate, out, |tensor, layout, out| file.read(tensor, layout, out)),
            #[cfg(feature = "hdf5")]
            WeightFile::Hdf5(file) => file.read(candidate.place, out),
        }
    }
}

/// Reads a tensor, and multiplies it by the factors that belong to it.
fn scaled(
    candidate: &Candidate,
    out: &mut [f32],
    read: impl Fn(usize, KernelLayout, &mut [f32]) -> Result<()>,
) -> Result<()> {
    read(candidate.place, candidate.layout, out)?;
    let Some(scale) = candidate.scale else { return Ok(()) };
    let mut factors = vec![0.0; candidate.shape.last().copied().unwrap_or_default()];
    read(scale, KernelLayout::Keras, &mut factors)?;
    out.iter_mut().zip(factors.iter().cycle()).for_each(|(value, factor)| *value *= factor);
    Ok(())
}

/// The tensors of a file under its own names.
fn listed<'a>(tensors: impl Iterator<Item = (&'a str, Shape, Option<String>)>) -> Vec<Candidate> {
    let candidates = tensors.enumerate().map(|(place, (name, shape, unread))| {
        let name = name.to_owned();
        Candidate { name, shape, place, layout: KernelLayout::Keras, scale: None, unread }
    });
    candidates.collect()
}

/// The first 8 bytes of a file, padded with zeros.
pub(super) fn first_bytes(path: &Path) -> Result<[u8; 8]> {
    let read = || {
        let mut bytes = Vec::with_capacity(8);
        File::open(path)?.take(8).read_to_end(&mut bytes)?;
        bytes.resize(8, 0);
        Ok(bytes.try_into().unwrap_or_default())
    };
    read().map_err(|source| file_error("read", path, source))
}

#[cfg(feature = "hdf5")]
fn open_hdf5(path: &Path, network: &Network, by_name: bool) -> Result<(WeightFile, Vec<Candidate>)> {
    let (file, candidates) = Hdf5Weights::open(path, network, by_name)?;
    Ok((WeightFile::Hdf5(file), candidates))
}

/// The weights in an archive: PyTorch's, or a `.keras` file.
#[cfg(feature = "hdf5")]
fn open_archive(path: &Path, network: &Network, by_name: bool) -> Result<(WeightFile, Vec<Candidate>)> {
    match TorchFile::open(path)? {
        Some(file) => open_torch(file, network),
        None => open_keras(path, network, by_name),
    }
}

#[cfg(feature = "hdf5")]
fn open_torch(file: TorchFile, network: &Network) -> Result<(WeightFile, Vec<Candidate>)> {
    let candidates = torch_names::candidates(listed(file.tensors()), network);
    Ok((WeightFile::Torch(file), candidates))
}

/// The largest weights in a `.keras` file of a model, in bytes: it may also hold an optimizer's slots.
#[cfg(feature = "hdf5")]
pub(super) fn most_bytes(network: &Network) -> u64 {
    const SLOTS: u64 = 16;
    const OVERHEAD: u64 = 64 << 20;
    (network.values() as u64 * 4).saturating_mul(SLOTS).saturating_add(OVERHEAD)
}

/// The weights in a `.keras` file.
#[cfg(feature = "hdf5")]
fn open_keras(path: &Path, network: &Network, by_name: bool) -> Result<(WeightFile, Vec<Candidate>)> {
    let bytes = super::archive::member(path, super::archive::WEIGHTS, most_bytes(network))?;
    let (file, candidates) = Hdf5Weights::of_bytes(bytes, path, network, by_name)?;
    Ok((WeightFile::Hdf5(file), candidates))
}

#[cfg(not(feature = "hdf5"))]
fn open_hdf5(path: &Path, _: &Network, _: bool) -> Result<(WeightFile, Vec<Candidate>)> {
    Err(no_hdf5(path, "an HDF5 file"))
}

#[cfg(not(feature = "hdf5"))]
fn open_archive(path: &Path, _: &Network, _: bool) -> Result<(WeightFile, Vec<Candidate>)> {
    Err(no_hdf5(path, "a `.keras` or `.pth` file"))
}

/// The error for a file that needs the feature `hdf5`.
#[cfg(not(feature = "hdf5"))]
pub(super) fn no_hdf5(path: &Path, what: &str) -> Error {
    let problem =
        format!("it is {what}, and this Kiln was built without the feature `hdf5`; build it with the feature");
    Error::Format { path: path.to_owned(), problem }
}

/// The error for a file that needs the feature `onnx`.
#[cfg(not(feature = "onnx"))]
pub(super) fn no_onnx(path: &Path) -> Error {
    let problem = "it is an ONNX file, and this Kiln was built without the feature `onnx`; build it with the feature";
    Error::Format { path: path.to_owned(), problem: problem.to_owned() }
}
