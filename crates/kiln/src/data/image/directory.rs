//! A folder with a subfolder of images per class.

use std::fmt;
use std::path::Path;

use rayon::prelude::*;

use super::files::{Files, Rule};
use super::listing::{File, Listing};
use super::{ColorMode, Interpolation};
use crate::data::rows::no_memory;
use crate::data::{DataError, Dataset, Labels};
use crate::memory;
use crate::random::{Stream, permuted};

/// The maximum number of files decoded between two reports of progress.
const BLOCK: usize = 256;
/// The maximum size of their samples in bytes, unless one is larger.
const BLOCK_BYTES: usize = 256 << 20;

/// The number of damaged files named in an error.
const NAMED: usize = 10;

/// The arguments of [`image_dataset_from_directory`].
pub struct ImageOptions<'a> {
    /// The height and width to resize images to, in pixels. By default, all images must have the same size (Keras'
    /// default is 256 x 256).
    pub image_size: Option<[usize; 2]>,
    /// The channels.
    pub color_mode: ColorMode,
    /// The interpolation of resized images.
    pub interpolation: Interpolation,
    /// Whether to shuffle the files. Otherwise they are sorted by class and name, so that a validation split has only
    /// the last classes.
    pub shuffle: bool,
    /// The seed of the shuffled order.
    pub seed: u64,
    /// The handling of files that cannot be decoded.
    pub corrupt: Corrupt<'a>,
    /// Whether to decode files on demand, in each epoch if they do not fit on the device, instead of immediately.
    /// Samples that need more than a quarter of the free memory are always streamed. A damaged file is then an error
    /// when it is needed, unless damaged files are skipped, in which case all are decoded once immediately.
    pub stream: bool,
    /// Reports progress: the number of decoded files, and of all files.
    pub progress: Option<&'a mut dyn FnMut(usize, usize)>,
}

/// The handling of files that cannot be read or decoded.
#[derive(Default)]
pub enum Corrupt<'a> {
    /// Return an error that names them (the first ten, and the number of others).
    #[default]
    Error,
    /// Skip them, and report the error of each.
    Skip(&'a mut dyn FnMut(&DataError)),
}

impl Default for ImageOptions<'_> {
    fn default() -> Self {
        ImageOptions {
            image_size: None,
            color_mode: ColorMode::Rgb,
            interpolation: Interpolation::Bilinear,
            shuffle: true,
            seed: 0,
            corrupt: Corrupt::Error,
            stream: false,
            progress: None,
        }
    }
}

impl fmt::Debug for ImageOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageOptions")
            .field("image_size", &self.image_size)
            .field("color_mode", &self.color_mode)
            .field("interpolation", &self.interpolation)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .field("corrupt", &self.corrupt)
            .field("stream", &self.stream)
            .field("progress", &self.progress.is_some())
            .finish()
    }
}

impl fmt::Debug for Corrupt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Corrupt::Error => "Error",
            Corrupt::Skip(_) => "Skip",
        })
    }
}

/// Reads the images in the subfolders of a folder, decoded on all cores. Each subfolder is a class; the classes are
/// sorted by name ([`Dataset::class_names`]). As in Keras, a class may have nested folders, and other files and hidden
/// folders are ignored. Images are shrunk with antialiasing, as by PIL; Keras' function uses TensorFlow's resizing,
/// which has none.
///
/// Values are 0 to 255, unscaled, as in Keras: either the model begins with a [`Rescaling`](crate::layers::Rescaling),
/// or [`Dataset::rescaled`] scales them.
///
/// # Errors
/// If a folder cannot be read or has no images, images have different sizes without `image_size`, or (unless they are
/// skipped) files are damaged. An image that needs more than half of the free memory to decode is an error and is not
/// skipped.
///
/// # Example
/// ```no_run
/// use kiln::data::{ImageOptions, image_dataset_from_directory};
///
/// let options = ImageOptions { image_size: Some([150, 150]), ..ImageOptions::default() };
/// let data = image_dataset_from_directory("flowers", options)?.rescaled(1.0 / 255.0, 0.0); // 0 to 1
/// println!("{} images of {:?}", data.len(), data.class_names());
/// # Ok::<(), kiln::data::DataError>(())
/// ```
pub fn image_dataset_from_directory(
    folder: impl AsRef<Path>,
    mut options: ImageOptions<'_>,
) -> Result<Dataset, DataError> {
    let Listing { class_names, files } = Listing::of(folder.as_ref())?;
    let rule = Rule::new(&files, &options)?;
    let order = match options.shuffle {
        true => permuted(files.len(), Stream::Files, [options.seed, 0]),
        false => (0..files.len() as u32).collect(),
    };
    let mut files: Vec<File> = order.into_iter().map(|file| files[file as usize].clone()).collect();

    let skips = matches!(options.corrupt, Corrupt::Skip(_));
    let room = if options.stream { None } else { room_for(files.len().saturating_mul(rule.shape.elements())) };
    let stream = room.is_none();
    let mut values = room.unwrap_or_default();
    if !stream || skips {
        let count = files.len();
        let (whole, damaged) = decode_all(&rule, files, stream, &mut values, &mut options.progress)?;
        match options.corrupt {
            Corrupt::Skip(tell) => damaged.iter().for_each(tell),
            Corrupt::Error if damaged.is_empty() => {}
            Corrupt::Error => return Err(corrupt(damaged, count)),
        }
        files = whole;
    }
    let labels = Labels::index(files.iter().map(|file| file.class).collect(), class_names.len());
    let data = match stream {
        true => Dataset::streamed(Files { rule, files }, labels)?,
        false => Dataset::from_u8(rule.shape, values, labels)?,
    };
    data.rescaled(1.0, 0.0).with_class_names(class_names)
}

/// Allocates this many bytes, or returns `None` if the samples should be streamed. A data set is copied on its way to a
/// device, so it may use at most a quarter of the free memory.
fn room_for(bytes: usize) -> Option<Vec<u8>> {
    let few = memory::free().is_none_or(|free| bytes as u64 <= free / 4);
    if !few {
        tracing::info!(bytes, "the images are streamed, because they need more than a quarter of the free memory");
        return None;
    }
    memory::with_capacity(bytes).ok()
}

/// Decodes the files, and appends their pixels to `values` unless `only_check`. Returns the valid files and the errors
/// of the others.
fn decode_all(
    rule: &Rule,
    files: Vec<File>,
    only_check: bool,
    values: &mut Vec<u8>,
    progress: &mut Option<&mut dyn FnMut(usize, usize)>,
) -> Result<(Vec<File>, Vec<DataError>), DataError> {
    let (elements, count) = (rule.shape.elements(), files.len());
    let (mut whole, mut damaged) = (Vec::with_capacity(count), Vec::new());
    // A block needs at most as much memory as a large photograph.
    let block = (BLOCK_BYTES / elements).clamp(1, BLOCK.min(count.max(1)));
    let mut place = memory::zeroed(block * elements).map_err(|_| no_memory(block, block * elements))?;
    for files in files.chunks(block) {
        let read = |(place, file): (&mut [u8], &File)| rule.read(&file.path, place);
        let places = place.par_chunks_exact_mut(elements).zip(files);
        let results: Vec<_> = places.map(read).collect::<Result<_, DataError>>()?;
        for ((file, damage), place) in files.iter().zip(results).zip(place.chunks_exact(elements)) {
            match damage {
                Some(damage) => damaged.push(damage),
                None => {
                    whole.push(file.clone());
                    values.extend_from_slice(if only_check { &[] } else { place });
                }
            }
        }
        if let Some(progress) = progress {
            progress(whole.len() + damaged.len(), count);
        }
    }
    Ok((whole, damaged))
}

fn corrupt(mut damaged: Vec<DataError>, files: usize) -> DataError {
    let count = damaged.len();
    damaged.truncate(NAMED);
    DataError::Corrupt { damaged, count, files }
}

#[cfg(test)]
mod tests;
