//! A folder with a sub-folder of images per class.

use std::fmt;
use std::path::{Path, PathBuf};

use kiln_graph::Shape;
use rayon::prelude::*;

use super::{ColorMode, Interpolation, decode, resize};
use crate::data::{DataError, Dataset, Labels};
use crate::random::{Stream, permuted};

/// What the names of images end in, as in Keras, and `.webp`.
pub(super) const EXTENSIONS: [&str; 6] = ["bmp", "gif", "jpeg", "jpg", "png", "webp"];

/// How many files are decoded between two reports of progress.
const BLOCK: usize = 256;

/// How many damaged files an error names.
const NAMED: usize = 10;

/// The arguments of [`image_dataset_from_directory`].
pub struct ImageOptions<'a> {
    /// The height and the width to which images are resized, in pixels. Without them, all must have the size of the
    /// first, and nothing is resized (Keras has 256 x 256).
    pub image_size: Option<[usize; 2]>,
    /// The channels.
    pub color_mode: ColorMode,
    /// How images of another size are resized.
    pub interpolation: Interpolation,
    /// Whether the files are mixed. If not, they are sorted by class and name, and the last share of the data set is of
    /// the last classes alone.
    pub shuffle: bool,
    /// What the mixed order depends on.
    pub seed: u64,
    /// What is done about files that cannot be decoded.
    pub corrupt: Corrupt<'a>,
    /// Is told from time to time how many files are done, of how many.
    pub progress: Option<&'a mut dyn FnMut(usize, usize)>,
}

/// What is done about files that cannot be read or decoded.
#[derive(Default)]
pub enum Corrupt<'a> {
    /// They are an error, which names them all (or ten, and how many more there are).
    #[default]
    Error,
    /// They are left out, and each is told with what is wrong with it.
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

/// The images in the sub-folders of a folder, decoded on all cores. Each sub-folder is a class; the classes are sorted
/// by name and known as [`Dataset::class_names`]. As in Keras, images may lie in folders within a class, and files of
/// other kinds and hidden folders are passed over. Files that shrink are resized as PIL does, with a filter that
/// widens, where Keras' function has TensorFlow's, which does not.
///
/// # Errors
/// When a folder cannot be read or has no images, an image has another size than the first and no `image_size` is
/// given, or (unless they are skipped) files are damaged.
///
/// # Example
/// ```no_run
/// use kiln::data::{ImageOptions, image_dataset_from_directory};
///
/// let options = ImageOptions { image_size: Some([150, 150]), ..ImageOptions::default() };
/// let data = image_dataset_from_directory("flowers", options)?;
/// println!("{} images of {:?}", data.len(), data.class_names());
/// # Ok::<(), kiln::data::DataError>(())
/// ```
pub fn image_dataset_from_directory(
    folder: impl AsRef<Path>,
    mut options: ImageOptions<'_>,
) -> Result<Dataset, DataError> {
    let listing = Listing::of(folder.as_ref())?;
    let rule = Rule::new(&listing, &options)?;
    let elements = rule.shape.elements();
    let order = match options.shuffle {
        true => permuted(listing.files.len(), Stream::Files, [options.seed, 0]),
        false => (0..listing.files.len() as u32).collect(),
    };

    let mut values = vec![0; order.len() * elements];
    let (mut labels, mut damaged) = (Vec::with_capacity(order.len()), Vec::new());
    for (block, files) in order.chunks(BLOCK).enumerate() {
        let begin = labels.len() * elements;
        let place = &mut values[begin..begin + files.len() * elements];
        let read = |(place, &file): (&mut [u8], &u32)| rule.read(&listing.files[file as usize].path, place);
        let results: Vec<_> =
            place.par_chunks_exact_mut(elements).zip(files).map(read).collect::<Result<_, DataError>>()?;
        for (place, (damage, &file)) in results.into_iter().zip(files).enumerate() {
            match damage {
                Some(damage) => damaged.push(damage),
                None => {
                    let from = begin + place * elements;
                    values.copy_within(from..from + elements, labels.len() * elements);
                    labels.push(listing.files[file as usize].class);
                }
            }
        }
        if let Some(progress) = &mut options.progress {
            progress(block * BLOCK + files.len(), order.len());
        }
    }
    match options.corrupt {
        Corrupt::Skip(tell) => damaged.iter().for_each(tell),
        Corrupt::Error if damaged.is_empty() => {}
        Corrupt::Error => return Err(corrupt(damaged, order.len())),
    }
    values.truncate(labels.len() * elements);
    let labels = Labels::index(labels, listing.class_names.len());
    Dataset::from_u8(rule.shape, values, labels)?.with_class_names(listing.class_names)
}

fn corrupt(mut damaged: Vec<DataError>, files: usize) -> DataError {
    let count = damaged.len();
    damaged.truncate(NAMED);
    DataError::Corrupt { damaged, count, files }
}

/// What is in a folder of classes.
struct Listing {
    class_names: Vec<String>,
    /// By class, then by name.
    files: Vec<File>,
}

struct File {
    path: PathBuf,
    class: u32,
}

impl Listing {
    fn of(folder: &Path) -> Result<Listing, DataError> {
        let mut listing = Listing { class_names: Vec::new(), files: Vec::new() };
        for class in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
            let index = listing.class_names.len() as u32;
            listing.class_names.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
            listing.collect(&class, index)?;
        }
        match listing.files.is_empty() {
            true => Err(DataError::NoImages { folder: folder.to_owned() }),
            false => Ok(listing),
        }
    }

    fn collect(&mut self, folder: &Path, class: u32) -> Result<(), DataError> {
        for path in entries(folder)? {
            if path.is_dir() {
                self.collect(&path, class)?;
            } else if is_image(&path) {
                self.files.push(File { path, class });
            }
        }
        Ok(())
    }
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

/// What is in a folder and not hidden, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            entries.push(entry.path());
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

/// How a file becomes a sample.
struct Rule {
    shape: Shape,
    color_mode: ColorMode,
    interpolation: Interpolation,
    /// The file that all others must have the size of, if none is resized.
    first: Option<PathBuf>,
}

impl Rule {
    fn new(listing: &Listing, options: &ImageOptions<'_>) -> Result<Rule, DataError> {
        let &ImageOptions { color_mode, interpolation, image_size, .. } = options;
        let whole = |file: &File| Some((decode::read(&file.path, color_mode).ok()?.shape, file.path.clone()));
        let (shape, first) = match image_size {
            Some([height, width]) => (Shape::from([height, width, color_mode.channels()]), None),
            None => match listing.files.iter().find_map(whole) {
                Some((shape, file)) => (shape, Some(file)),
                None => (Shape::from([1, 1, color_mode.channels()]), None),
            },
        };
        match shape.elements() {
            0 => Err(DataError::Values { shape, found: 0 }),
            _ => Ok(Rule { shape, color_mode, interpolation, first }),
        }
    }

    /// Puts a sample in its place; gives what is wrong with a file that cannot be decoded.
    fn read(&self, path: &Path, place: &mut [u8]) -> Result<Option<DataError>, DataError> {
        let mut image = match decode::read(path, self.color_mode) {
            Ok(image) => image,
            Err(damage) => return Ok(Some(damage)),
        };
        let [height, width] = [self.shape[0], self.shape[1]];
        match &self.first {
            None => image = resize::resize(image, [height, width], self.interpolation),
            Some(_) if image.shape == self.shape => {}
            Some(first) => {
                let expected = format!("an image of {height} x {width}, as {} is, or an `image_size`", first.display());
                let found = format!("one of {} x {}", image.shape[0], image.shape[1]);
                return Err(DataError::Format { path: path.to_owned(), expected, found });
            }
        }
        place.copy_from_slice(&image.values);
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
