//! Keras' `preprocess_input`, compared with its formulas.

use kiln::augmentation::Augmentation;
use kiln::data::{DataError, Dataset, Labels, Preprocessing, Source};
use kiln::graph::Shape;
use kiln::layers::Rescaling;
use kiln::{Sequential, data};

use crate::common::{close, device};

const PIXELS: [u8; 24] = [0, 128, 255, 3, 9, 27, 200, 100, 50, 1, 2, 3, 255, 255, 255, 0, 0, 0, 17, 34, 51, 99, 88, 77];

/// The images of [`PIXELS`], read on demand.
#[derive(Debug)]
struct Photographs;

impl Source for Photographs {
    type Value = u8;

    fn len(&self) -> usize {
        2
    }

    fn sample_shape(&self) -> Shape {
        [2, 2, 3].into()
    }

    fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError> {
        place.copy_from_slice(&PIXELS[12 * index..][..12]);
        Ok(())
    }
}

fn labels() -> Labels {
    Labels::index(vec![0, 1], 2)
}

fn photographs() -> Dataset {
    Dataset::from_u8([2, 2, 3], PIXELS.into(), labels()).unwrap()
}

/// The model's input.
fn seen(data: &Dataset) -> Vec<f32> {
    let mut model = Sequential::new([2, 2, 3]);
    model.add(Rescaling::new(1.0));
    model.to_device(device()).unwrap();
    model.predict(data).unwrap().values
}

/// The formulas of `keras/src/applications/imagenet_utils.py`, for the channel `c` of a pixel.
fn expected(mode: Preprocessing, pixel: [f64; 3], c: usize) -> f64 {
    match mode {
        Preprocessing::Caffe => pixel[2 - c] - [103.939, 116.779, 123.68][c],
        Preprocessing::Tf => pixel[c] / 127.5 - 1.0,
        Preprocessing::Torch => (pixel[c] / 255.0 - [0.485, 0.456, 0.406][c]) / [0.229, 0.224, 0.225][c],
    }
}

fn is_preprocessed(mode: Preprocessing, seen: &[f32]) {
    for (i, &found) in seen.iter().enumerate() {
        let pixel = [0, 1, 2].map(|c| f64::from(PIXELS[i / 3 * 3 + c]));
        let expected = expected(mode, pixel, i % 3);
        assert!(close(f64::from(found) + 200.0, expected + 200.0, 1e-7), "{mode:?} {i}: {found} for {expected}");
    }
}

#[test]
fn photographs_are_seen_as_kerases_formulas_say() {
    for mode in Preprocessing::ALL {
        is_preprocessed(mode, &seen(&photographs().preprocess_input(mode).unwrap()));
        let floats = PIXELS.iter().map(|&value| f32::from(value)).collect();
        let floats = Dataset::from_f32([2, 2, 3], floats, labels()).unwrap();
        is_preprocessed(mode, &seen(&floats.preprocess_input(mode).unwrap()));
        let streamed = Dataset::streamed(Photographs, labels()).unwrap();
        is_preprocessed(mode, &seen(&streamed.preprocess_input(mode).unwrap()));
        assert_eq!(mode.name().parse(), Ok(mode));
    }
}

#[test]
fn the_last_preprocessing_counts_and_augmentation_keeps_it() {
    for mode in [Preprocessing::Torch, Preprocessing::Tf] {
        let data = photographs().preprocess_input(Preprocessing::Torch).unwrap().preprocess_input(mode).unwrap();
        is_preprocessed(mode, &seen(&data));
        let flips = Augmentation { horizontal_flip: true, ..Augmentation::default() };
        is_preprocessed(mode, &seen(&flips.standardize(&data).unwrap()));
    }
}

#[test]
fn samples_that_are_no_photographs_are_an_error() {
    let grey = Dataset::from_u8([2, 2, 1], vec![0; 4], Labels::index(vec![0], 1)).unwrap();
    let error: data::DataError = grey.preprocess_input(Preprocessing::Tf).unwrap_err();
    assert_eq!(error.to_string(), "expected images [height, width, 3] to preprocess, found samples [2, 2, 1]");
    assert_eq!(
        "bgr".parse::<Preprocessing>().unwrap_err().to_string(),
        "expected one of caffe, tf, torch; found `bgr`"
    );
}
