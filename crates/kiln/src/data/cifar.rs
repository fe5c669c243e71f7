//! CIFAR-10 and CIFAR-100 in their binary format: records of labels and a planar image.

use std::path::{Path, PathBuf};

use super::{DataError, Dataset, Labels};
use crate::memory;

/// The files of CIFAR-10 for training.
const CIFAR10_TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];

const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
const CHANNELS: usize = 3;

/// The label of CIFAR-100 to use; Keras' `label_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LabelMode {
    /// 100 classes, such as maple.
    #[default]
    Fine,
    /// 20 classes, such as trees.
    Coarse,
}

/// The training and the test set of CIFAR-10, from the files `data_batch_1.bin` to `data_batch_5.bin` and
/// `test_batch.bin` in a folder, plain or `.gz`. Images are `[32, 32, 3]` bytes, scaled to 0 to 1 (see
/// [`Dataset::rescaled`] for another scale); labels are indices of 10 classes, with the names of `batches.meta.txt` if
/// it exists.
///
/// # Errors
/// If a file is missing or has the wrong format.
pub fn cifar10(folder: impl AsRef<Path>) -> Result<(Dataset, Dataset), DataError> {
    let form = Form { labels: 1, label: 0, classes: 10, names: "batches.meta.txt", data_set: "cifar10" };
    Ok((form.read(folder.as_ref(), &CIFAR10_TRAIN)?, form.read(folder.as_ref(), &["test_batch.bin"])?))
}

/// The training and the test set of CIFAR-100, from the files `train.bin` and `test.bin` in a folder, plain or `.gz`.
/// Images are as in [`cifar10`], labels are indices of 100 or 20 classes, with the names of `fine_label_names.txt` or
/// `coarse_label_names.txt` if it exists.
///
/// # Errors
/// As [`cifar10`].
pub fn cifar100(folder: impl AsRef<Path>, label_mode: LabelMode) -> Result<(Dataset, Dataset), DataError> {
    let (label, classes, names) = match label_mode {
        LabelMode::Coarse => (0, 20, "coarse_label_names.txt"),
        LabelMode::Fine => (1, 100, "fine_label_names.txt"),
    };
    let form = Form { labels: 2, label, classes, names, data_set: "cifar100" };
    Ok((form.read(folder.as_ref(), &["train.bin"])?, form.read(folder.as_ref(), &["test.bin"])?))
}

/// The format of a record: labels, then the image as `[C, H, W]`.
struct Form {
    labels: usize,
    /// The index of the label to use.
    label: usize,
    classes: usize,
    /// The file with the names of the classes.
    names: &'static str,
    /// Its name for `kiln data`.
    data_set: &'static str,
}

impl Form {
    fn read(&self, folder: &Path, files: &[&'static str]) -> Result<Dataset, DataError> {
        let (mut values, mut labels) = (Vec::new(), Vec::new());
        for &name in files {
            let path = find(folder, name).ok_or_else(|| DataError::NotFound {
                folder: folder.to_owned(),
                name,
                data_set: self.data_set,
            })?;
            self.append(&path, &mut values, &mut labels)?;
        }
        let data = Dataset::from_u8([SIDE, SIDE, CHANNELS], values, Labels::index(labels, self.classes))?;
        match self.class_names(folder)? {
            Some(names) => data.with_class_names(names),
            None => Ok(data),
        }
    }

    fn append(&self, path: &Path, values: &mut Vec<u8>, labels: &mut Vec<u32>) -> Result<(), DataError> {
        let wrong = |expected, found| DataError::Format { path: path.to_owned(), expected, found };
        let bytes = contents(path)?;
        let record = self.labels + CHANNELS * PIXELS;
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            let expected = format!("a whole number of records of {record} bytes (labels and a 32 x 32 image)");
            return Err(wrong(expected, format!("{} bytes", bytes.len())));
        }
        for (index, record) in bytes.chunks_exact(record).enumerate() {
            let (head, planes) = record.split_at(self.labels);
            if usize::from(head[self.label]) >= self.classes {
                let found = format!("label {} in record {index}", head[self.label]);
                return Err(wrong(format!("labels below {}", self.classes), found));
            }
            labels.push(u32::from(head[self.label]));
            values.extend((0..PIXELS).flat_map(|i| [planes[i], planes[PIXELS + i], planes[2 * PIXELS + i]]));
        }
        Ok(())
    }

    fn class_names(&self, folder: &Path) -> Result<Option<Vec<String>>, DataError> {
        let Some(path) = find(folder, self.names) else { return Ok(None) };
        let text = String::from_utf8_lossy(&contents(&path)?).into_owned();
        let names: Vec<String> =
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
        match names.len() == self.classes {
            true => Ok(Some(names)),
            false => {
                let (expected, found) = (format!("{} names of classes", self.classes), names.len().to_string());
                Err(DataError::Format { path, expected, found })
            }
        }
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    super::idx::find(folder, name)
}

fn contents(path: &Path) -> Result<Vec<u8>, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let (bytes, read) = memory::read_to_end(super::idx::open(path).map_err(unreadable)?);
    read.map_err(unreadable).map(|()| bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::data::Values;

    /// An image with red 1, green 2 and blue 3, except for the red of its second pixel, 99.
    fn record(labels: &[u8]) -> Vec<u8> {
        let mut planes: Vec<u8> = [1, 2, 3].into_iter().flat_map(|value| [value; PIXELS]).collect();
        planes[1] = 99;
        [labels, &planes].concat()
    }

    /// Ten training images with labels 0 to 9, two per file, and a test image with label 7.
    fn small_cifar10() -> TempDir {
        let folder = tempdir().unwrap();
        for (index, name) in CIFAR10_TRAIN.iter().enumerate() {
            let label = 2 * index as u8;
            std::fs::write(folder.path().join(name), [record(&[label]), record(&[label + 1])].concat()).unwrap();
        }
        std::fs::write(folder.path().join("test_batch.bin"), record(&[7])).unwrap();
        folder
    }

    fn error(folder: &TempDir) -> String {
        cifar10(folder).unwrap_err().to_string().replace(&folder.path().display().to_string(), "DIR")
    }

    #[test]
    fn channels_come_to_lie_side_by_side() {
        let (train, test) = cifar10(small_cifar10()).unwrap();
        assert_eq!((train.len(), test.len(), train.classes()), (10, 1, 10));
        assert_eq!(train.labels(), Some(&Labels::index((0..10).collect(), 10)));
        let Values::U8(values) = test.values().unwrap() else { panic!() };
        assert_eq!(values[..9], [1, 2, 3, 99, 2, 3, 1, 2, 3]);
        assert_eq!(test.sample_shape(), &[32, 32, 3].into());
    }

    #[test]
    fn classes_are_named_if_the_names_are_there() {
        let folder = small_cifar10();
        assert!(cifar10(&folder).unwrap().0.class_names().is_empty());
        let names: Vec<String> = (0..10).map(|class| format!("class {class}")).collect();
        std::fs::write(folder.path().join("batches.meta.txt"), names.join("\n") + "\n\n").unwrap();
        assert_eq!(cifar10(&folder).unwrap().1.class_names(), names);
        std::fs::write(folder.path().join("batches.meta.txt"), "cat\n").unwrap();
        assert_eq!(error(&folder), "DIR/batches.meta.txt: expected 10 names of classes, found 1");
    }

    #[test]
    fn a_hundred_classes_have_two_labels() {
        let folder = tempdir().unwrap();
        std::fs::write(folder.path().join("train.bin"), [record(&[19, 99]), record(&[0, 5])].concat()).unwrap();
        std::fs::write(folder.path().join("test.bin"), record(&[3, 4])).unwrap();
        let (fine, _) = cifar100(&folder, LabelMode::Fine).unwrap();
        let (coarse, test) = cifar100(&folder, LabelMode::Coarse).unwrap();
        assert_eq!(fine.labels(), Some(&Labels::index(vec![99, 5], 100)));
        assert_eq!(coarse.labels(), Some(&Labels::index(vec![19, 0], 20)));
        assert_eq!(test.labels(), Some(&Labels::index(vec![3], 20)));
        assert_eq!(fine.values().unwrap(), coarse.values().unwrap());
    }

    #[test]
    fn a_missing_file_is_named_with_its_folder() {
        let folder = small_cifar10();
        std::fs::remove_file(folder.path().join("data_batch_4.bin")).unwrap();
        assert_eq!(error(&folder), "data_batch_4.bin is not in DIR; `kiln data cifar10` fetches it");
    }

    #[test]
    fn a_file_cut_short_says_how_long_it_is() {
        let folder = small_cifar10();
        let path = folder.path().join("test_batch.bin");
        let expected = "DIR/test_batch.bin: expected a whole number of records of 3073 bytes \
                        (labels and a 32 x 32 image), found";
        std::fs::write(&path, &record(&[1])[..3000]).unwrap();
        assert_eq!(error(&folder), format!("{expected} 3000 bytes"));
        std::fs::write(&path, "").unwrap();
        assert_eq!(error(&folder), format!("{expected} 0 bytes"));
    }

    #[test]
    fn a_label_that_is_too_high_names_file_and_record() {
        let folder = small_cifar10();
        let records = [record(&[9]), record(&[10])].concat();
        std::fs::write(folder.path().join("data_batch_3.bin"), records).unwrap();
        assert_eq!(error(&folder), "DIR/data_batch_3.bin: expected labels below 10, found label 10 in record 1");
    }
}
