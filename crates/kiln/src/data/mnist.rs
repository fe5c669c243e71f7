//! MNIST, and data sets in its format.

use std::path::Path;

use kiln_graph::Shape;

use super::{DataError, Dataset, Labels, idx};

/// The files of MNIST: images and labels for training, images and labels for testing. Fashion-MNIST's have the same
/// names.
pub const MNIST_FILES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

const CLASSES: usize = 10;

/// The training and the test set of MNIST or Fashion-MNIST, from the four files [`MNIST_FILES`] in a folder, plain or
/// `.gz`. Images are `[28, 28, 1]` bytes, scaled to 0 to 1 (see [`Dataset::rescaled`] for another scale); labels are
/// indices of 10 classes.
///
/// # Errors
/// If a file is missing, has the wrong format or does not match its partner.
pub fn mnist(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset), DataError> {
    let [train_images, train_labels, test_images, test_labels] = MNIST_FILES;
    let folder = folder.as_ref();
    Ok((part(folder, train_images, train_labels)?, part(folder, test_images, test_labels)?))
}

fn part(folder: &Path, images: &'static str, labels: &'static str) -> Result<Dataset, DataError> {
    let missing = |name| DataError::NotFound { folder: folder.to_owned(), name, data_set: "mnist" };
    let find = |name| idx::find(folder, name).ok_or_else(|| missing(name));
    let (images_path, labels_path) = (find(images)?, find(labels)?);
    let (images, labels) = (idx::read(&images_path)?, idx::read(&labels_path)?);

    let mismatch = |path: &Path, expected: String, found: &Shape| {
        let path = path.to_owned();
        Err(DataError::Format { path, expected, found: format!("values of shape {found}") })
    };
    let Some([count, 28, 28]) = images.shape.dims() else {
        return mismatch(&images_path, "images of shape [N, 28, 28]".to_owned(), &images.shape);
    };
    if labels.shape.dims() != Some([count]) {
        let expected = format!("{count} labels, one for each image of {}", images_path.display());
        return mismatch(&labels_path, expected, &labels.shape);
    }
    if let Some(sample) = labels.values.iter().position(|&label| usize::from(label) >= CLASSES) {
        let (expected, found) = (format!("labels below {CLASSES}"), labels.values[sample]);
        return Err(DataError::Format {
            path: labels_path,
            expected,
            found: format!("label {found} at sample {sample}"),
        });
    }
    let labels = labels.values.into_iter().map(u32::from).collect();
    Dataset::from_u8([28, 28, 1], images.values, Labels::index(labels, CLASSES))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tempfile::TempDir;

    use super::*;

    fn idx_file(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let extents = shape.iter().flat_map(|extent| extent.to_be_bytes());
        [0, 0, 8, shape.len() as u8].into_iter().chain(extents).chain(values.iter().copied()).collect()
    }

    /// Three training images with all pixels 7, and one test image with all pixels 9.
    fn small_mnist() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name, bytes| std::fs::write(folder.path().join(name), bytes).unwrap();
        write(MNIST_FILES[0], idx_file(&[3, 28, 28], &[7; 3 * 784]));
        write(MNIST_FILES[1], idx_file(&[3], &[5, 0, 4]));
        write(MNIST_FILES[2], idx_file(&[1, 28, 28], &[9; 784]));
        write(MNIST_FILES[3], idx_file(&[1], &[9]));
        folder
    }

    fn error(folder: &TempDir) -> String {
        mnist(folder).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn images_have_one_channel_and_labels_ten_classes() {
        let (train, test) = mnist(small_mnist()).unwrap();
        assert_eq!((train.len(), test.len(), train.classes()), (3, 1, 10));
        assert_eq!(train.sample_shape(), &Shape::from([28, 28, 1]));
        assert_eq!(train.labels(), Some(&Labels::index(vec![5, 0, 4], 10)));
        assert_eq!(test.values().unwrap(), super::super::Values::U8([9; 784].into()));
    }

    #[test]
    fn a_missing_file_is_named_with_its_folder() {
        let folder = small_mnist();
        std::fs::remove_file(folder.path().join(MNIST_FILES[3])).unwrap();
        assert_eq!(error(&folder), "t10k-labels-idx1-ubyte is not in DIR; `kiln data mnist` fetches it");
    }

    #[test]
    fn fewer_labels_than_images_are_an_error() {
        let folder = small_mnist();
        std::fs::write(folder.path().join(MNIST_FILES[1]), idx_file(&[2], &[5, 0])).unwrap();
        assert_eq!(
            error(&folder),
            "DIR/train-labels-idx1-ubyte: expected 3 labels, one for each image of DIR/train-images-idx3-ubyte, \
             found values of shape [2]"
        );
    }

    #[test]
    fn labels_in_place_of_images_are_an_error() {
        let folder = small_mnist();
        std::fs::copy(folder.path().join(MNIST_FILES[1]), folder.path().join(MNIST_FILES[0])).unwrap();
        assert_eq!(
            error(&folder),
            "DIR/train-images-idx3-ubyte: expected images of shape [N, 28, 28], found values of shape [3]"
        );
    }

    #[test]
    fn a_label_above_nine_names_file_and_sample() {
        let folder = small_mnist();
        std::fs::write(folder.path().join(MNIST_FILES[1]), idx_file(&[3], &[5, 0, 10])).unwrap();
        assert_eq!(error(&folder), "DIR/train-labels-idx1-ubyte: expected labels below 10, found label 10 at sample 2");
    }
}
