#![allow(clippy::unwrap_used, clippy::panic)]

use image::RgbImage;
use kiln_graph::Shape;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::data::Values;

/// Writes an image of one colour.
fn write(folder: &TempDir, name: &str, [height, width]: [u32; 2], colour: u8) {
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, image::Rgb([colour; 3])).save(path).unwrap();
}

/// Two cats (0, 1) and three dogs (10, 11, 12).
fn pets() -> TempDir {
    let folder = tempdir().unwrap();
    for (name, colour) in [("cat/a.png", 0), ("cat/b.png", 1), ("dog/1.png", 10), ("dog/2.bmp", 11), ("dog/3.png", 12)]
    {
        write(&folder, name, [2, 3], colour);
    }
    folder
}

fn sorted<'a>() -> ImageOptions<'a> {
    ImageOptions { shuffle: false, ..ImageOptions::default() }
}

/// The first value of each sample, and the labels.
fn seen(data: &Dataset) -> (Vec<u8>, Vec<u32>) {
    let (Values::U8(values), Labels::Index { values: labels, .. }) = (data.values().unwrap(), data.labels().unwrap())
    else {
        panic!()
    };
    (values.iter().copied().step_by(data.sample_shape().elements()).collect(), labels.to_vec())
}

fn error(folder: &TempDir, options: ImageOptions<'_>) -> String {
    let error = image_dataset_from_directory(folder, options).unwrap_err().to_string();
    error.replace(&folder.path().display().to_string(), "DIR")
}

#[test]
fn sub_folders_are_classes_sorted_by_name() {
    let data = image_dataset_from_directory(pets(), sorted()).unwrap();
    assert_eq!(data.class_names(), ["cat", "dog"]);
    assert_eq!(data.sample_shape(), &Shape::from([2, 3, 3]));
    assert_eq!(seen(&data), (vec![0, 1, 10, 11, 12], vec![0, 0, 1, 1, 1]));
}

#[test]
fn files_are_mixed_in_an_order_that_depends_on_the_seed_alone() {
    let folder = tempdir().unwrap();
    for i in 0..30 {
        write(&folder, &format!("{}/{i}.png", i % 2), [1, 1], i);
    }
    let load =
        |seed| seen(&image_dataset_from_directory(&folder, ImageOptions { seed, ..Default::default() }).unwrap());
    let (values, labels) = load(0);
    assert_eq!(load(0), (values.clone(), labels.clone()));
    assert_ne!(load(1).0, values);
    assert!(values.iter().zip(&labels).all(|(value, label)| u32::from(value % 2) == *label));
    assert!(labels[20..].contains(&0) && labels[20..].contains(&1), "{labels:?}");
}

#[test]
fn folders_within_a_class_count_and_other_files_do_not() {
    let folder = pets();
    write(&folder, "cat/more/c.png", [2, 3], 2);
    write(&folder, ".hidden/x.png", [2, 3], 99);
    std::fs::write(folder.path().join("cat/notes.txt"), "meow").unwrap();
    std::fs::write(folder.path().join("labels.csv"), "").unwrap();
    let data = image_dataset_from_directory(&folder, sorted()).unwrap();
    assert_eq!((data.class_names(), data.len()), (&["cat".to_owned(), "dog".to_owned()][..], 6));
}

#[test]
fn images_are_resized_and_converted() {
    let folder = pets();
    write(&folder, "dog/4.png", [5, 1], 13);
    let options = ImageOptions { image_size: Some([4, 4]), color_mode: ColorMode::Grayscale, ..sorted() };
    let data = image_dataset_from_directory(&folder, options).unwrap();
    assert_eq!(data.sample_shape(), &Shape::from([4, 4, 1]));
    assert_eq!(seen(&data).0, [0, 1, 10, 11, 12, 13]);
}

#[test]
fn images_of_two_sizes_are_an_error_that_names_both_files() {
    let folder = pets();
    write(&folder, "dog/2.bmp", [3, 3], 11);
    assert_eq!(
        error(&folder, sorted()),
        "DIR/dog/2.bmp: expected an image of 2 x 3, as DIR/cat/a.png is, or an `image_size`, found one of 3 x 3"
    );
}

#[test]
fn all_damaged_files_are_named_in_one_error() {
    let folder = pets();
    std::fs::write(folder.path().join("cat/a.png"), "").unwrap();
    std::fs::write(folder.path().join("dog/3.png"), "<html>").unwrap();
    assert_eq!(
        error(&folder, sorted()),
        "2 of 5 images cannot be used; repair or remove them, or skip them\n  \
         DIR/cat/a.png: expected an image, found an empty file\n  \
         DIR/dog/3.png: expected an image, found a file of another kind"
    );
    for i in 0..10 {
        std::fs::write(folder.path().join(format!("cat/{i}.png")), "").unwrap();
    }
    let error = error(&folder, sorted());
    assert!(error.starts_with("12 of 15 images") && error.ends_with("\n  and 2 more"), "{error}");
}

#[test]
fn damaged_files_are_skipped_and_told_if_wanted() {
    let folder = pets();
    std::fs::write(folder.path().join("cat/a.png"), "").unwrap();
    std::fs::write(folder.path().join("dog/2.bmp"), "BM").unwrap();
    let mut told = Vec::new();
    let mut tell = |error: &DataError| told.push(error.to_string());
    let options = ImageOptions { corrupt: Corrupt::Skip(&mut tell), ..sorted() };
    let data = image_dataset_from_directory(&folder, options).unwrap();
    assert_eq!(seen(&data), (vec![1, 10, 12], vec![0, 1, 1]));
    assert!(told.len() == 2 && told[0].contains("a.png") && told[1].contains("2.bmp"), "{told:?}");
}

#[test]
fn a_folder_without_images_is_an_error() {
    let folder = tempdir().unwrap();
    let expected = "expected a subfolder of images (bmp, gif, jpg, png or webp) per class in DIR, found none";
    assert_eq!(error(&folder, sorted()), expected);
    write(&folder, "a.png", [1, 1], 0);
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(error(&folder, sorted()), expected);
    let error = image_dataset_from_directory("no/folder", sorted()).unwrap_err().to_string();
    assert_eq!(error, "cannot read no/folder");
}

#[test]
fn progress_ends_with_all_files() {
    let mut told = Vec::new();
    let mut progress = |done, all| told.push((done, all));
    image_dataset_from_directory(pets(), ImageOptions { progress: Some(&mut progress), ..sorted() }).unwrap();
    assert_eq!(told, [(5, 5)]);
}

#[test]
fn streamed_files_give_the_same_samples() {
    let folder = pets();
    let load = |stream| image_dataset_from_directory(&folder, ImageOptions { stream, ..Default::default() }).unwrap();
    let (now, later) = (load(false), load(true));
    assert!(later.is_streamed());
    assert_eq!(later.class_names(), now.class_names());
    assert_eq!(seen(&later.in_memory().unwrap()), seen(&now));
}

#[test]
fn a_damaged_file_that_is_streamed_is_an_error_when_it_is_needed_or_is_skipped() {
    let folder = pets();
    std::fs::write(folder.path().join("dog/2.bmp"), "BM").unwrap();
    let data = image_dataset_from_directory(&folder, ImageOptions { stream: true, ..sorted() }).unwrap();
    assert_eq!(data.len(), 5);
    assert_eq!(data.head(3).in_memory().unwrap().len(), 3);
    assert!(data.in_memory().unwrap_err().to_string().contains("dog/2.bmp: expected an image"));
    let options = ImageOptions { stream: true, corrupt: Corrupt::Skip(&mut |_| {}), ..sorted() };
    let data = image_dataset_from_directory(&folder, options).unwrap();
    assert_eq!(seen(&data.in_memory().unwrap()), (vec![0, 1, 10, 12], vec![0, 0, 1, 1]));
}

#[test]
fn samples_that_would_fill_the_memory_are_streamed() {
    assert!(room_for(1 << 20).is_some());
    assert!(room_for(usize::MAX).is_none());
    if let Some(free) = memory::free() {
        assert!(room_for(free as usize / 2).is_none(), "they are copied when they are split and go to a device");
    }
}
