//! Augmentation compared with Keras (`fixtures/augment.safetensors`, written by `peers/augment.py`), and in training.

use std::path::Path;

use kiln::augmentation::{Augmentation, ShiftRange, ZoomRange};
use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Step, TensorType};
use kiln::layers::{Flatten, Layer};
use kiln::ops::{AugmentColor, AugmentDraw, AugmentWarp, FillMode, ImageStatistics, Shift};
use kiln::{Compile, Fit, Sequential};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::bench::{Bench, read};
use crate::common::{bars, bits, close, compiled, device, model};

struct Recorded(Vec<u8>);

impl Recorded {
    fn open() -> Recorded {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/augment.safetensors");
        Recorded(std::fs::read(path).unwrap())
    }

    fn list(&self, key: &str) -> Vec<Value> {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()[key]).unwrap()
    }

    fn get(&self, name: &str) -> Array {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        Array::from_bytes(TensorType::f32(tensor.shape()), tensor.data())
    }
}

/// Augments images on the device with the options of a recorded case.
fn changed(images: &Array, case: &Value) -> Array {
    let number = |key: &str| case[key].as_f64().unwrap_or(0.0);
    let pair = |key: &str| [0, 1].map(|i| case[key][i].as_f64().unwrap_or(1.0) as f32);
    let shift = || Shift::Uniform(number("shift") as f32);
    let dims: [usize; 4] = images.shape().dims().unwrap();
    let draw = AugmentDraw {
        rotation: number("rotation").to_radians() as f32,
        shear: number("shear").to_radians() as f32,
        shift: [shift(), shift()],
        zoom: pair("zoom"),
        flip: [case["flips"] == true; 2],
        channel_shift: number("channel_shift") as f32,
        brightness: pair("brightness"),
        ..AugmentDraw::none(dims[0], [dims[1], dims[2]])
    };
    let fill_mode = match case["fill_mode"].as_str() {
        Some("constant") => FillMode::Constant,
        Some("reflect") => FillMode::Reflect,
        Some("wrap") => FillMode::Wrap,
        _ => FillMode::Nearest,
    };
    let (interpolated, cval, scale, offset) = (case["order"] != 0, 100.0, 1.0, 0.0);
    let (shifts, brightens) = (!case["channel_shift"].is_null(), !case["brightness"].is_null());

    let mut bench = Bench::new();
    let x = bench.given(images);
    let draws = bench.graph.add(draw, &[]).unwrap();
    let mut y = bench.graph.add(AugmentWarp { interpolated, fill_mode, cval, scale, offset }, &[x, draws]).unwrap();
    if shifts || brightens {
        let mut taken = vec![y, draws];
        taken.extend(shifts.then(|| bench.graph.add(ImageStatistics, &[y]).unwrap()));
        y = bench.graph.add(AugmentColor { shifts, brightens, cutout: 0, cval, scale, offset }, &taken).unwrap();
    }
    bench.keep(y, "y");
    let buffers = bench.run(Step { key: [0x1234_5678, 0x9abc_def0], ..Step::default() });
    read(&buffers, "y", &images.ty)
}

#[test]
fn images_are_changed_as_keras_changes_them() {
    let recorded = Recorded::open();
    let cases = recorded.list("cases");
    assert_eq!(cases.len(), 20);
    for (i, case) in cases.iter().enumerate() {
        let expected = recorded.get(&format!("{i}.y"));
        let found = changed(&recorded.get(case["x"].as_str().unwrap()), case);
        // Keras converts an image to bytes when it changes brightness. A position nearly half-way between pixels, or on
        // the edge, may round to either side in f32.
        let (tolerance, strays) = if case["brightness"].is_null() { (0.02, 3) } else { (1.0, 0) };
        let wrong = found.data.iter().zip(&expected.data).filter(|(a, b)| (*a - *b).abs() > tolerance).count();
        assert!(wrong <= strays, "case {i} {case}: {wrong} of {} values", found.data.len());
    }
}

/// The model's input for some samples.
fn seen(data: &Dataset) -> Vec<f32> {
    let mut model = Sequential::new(data.sample_shape().clone());
    model.add(Flatten);
    model.to_device(device()).unwrap();
    model.predict(data).unwrap().values
}

/// A data set of images with one label.
fn images(images: &Array) -> Dataset {
    let values = images.data.iter().map(|&value| value as u8).collect();
    let labels = Labels::index(vec![0; images.shape()[0]], 1);
    Dataset::from_u8(images.shape().sample(), values, labels).unwrap().rescaled(1.0, 0.0)
}

#[test]
fn samples_and_features_are_standardized_as_keras_does() {
    let recorded = Recorded::open();
    let many = images(&recorded.get("many"));
    for (i, options) in recorded.list("standards").iter().enumerate() {
        let augmentation: Augmentation = serde_json::from_value(options.clone()).unwrap();
        let augmentation = augmentation.fit(&many).unwrap();
        let found = seen(&augmentation.standardize(&many.head(5)).unwrap());
        let expected = recorded.get(&format!("standard {i}"));
        let found = Array::f32(expected.shape().clone(), found.into_iter().map(f64::from).collect());
        let error = found.relative_error(&expected);
        assert!(error < 1e-4, "{options}: {error:.1e}");
    }
}

#[test]
fn whitened_values_have_variance_one_and_no_covariances() {
    let data = images(&Recorded::open().get("many"));
    let augmentation = Augmentation { zca_whitening: true, ..Augmentation::default() }.fit(&data).unwrap();
    let values = seen(&augmentation.standardize(&data).unwrap());
    for (a, b) in [(0, 0), (17, 17), (3, 40), (0, 1), (47, 46)] {
        let product: f32 = values.chunks(48).map(|sample| sample[a] * sample[b]).sum::<f32>() / 200.0;
        assert!((product - f32::from(u8::from(a == b))).abs() < 1e-3, "{a} {b}: {product}");
    }
}

fn everything() -> Augmentation {
    Augmentation {
        rotation_range: 20.0,
        width_shift_range: 0.1.into(),
        height_shift_range: vec![1.0, 0.5].into(),
        shear_range: 5.0,
        zoom_range: [0.8, 1.1].into(),
        channel_shift_range: 20.0,
        brightness_range: Some([0.5, 1.5]),
        horizontal_flip: true,
        crop_padding: 1,
        cutout: 2,
        samplewise_std_normalization: true,
        featurewise_center: true,
        ..Augmentation::default()
    }
}

/// The bits of the weights after two epochs.
fn trained(augmentation: Option<&Augmentation>, seed: u64, steps_per_execution: Option<usize>) -> Vec<u32> {
    let mut model = model();
    model.compile(device(), Compile { steps_per_execution, ..Compile::default() }).unwrap();
    model.fit(&bars(70), Fit { epochs: 2, batch_size: 9, seed, augmentation, ..Fit::default() }).unwrap();
    bits(&model.get_weights().unwrap())
}

#[test]
fn one_seed_gives_the_same_bits_with_augmentation_in_any_number_of_steps_at_once() {
    let augmentation = everything().fit(&bars(70)).unwrap();
    let first = trained(Some(&augmentation), 1, None);
    assert_eq!(trained(Some(&augmentation), 1, Some(1)), first);
    assert_eq!(trained(Some(&augmentation), 1, Some(5)), first);
    assert_ne!(trained(Some(&augmentation), 2, None), first);
    assert_ne!(trained(None, 1, None), first);
}

#[test]
fn an_augmentation_that_changes_nothing_gives_the_bits_of_none() {
    assert_eq!(trained(Some(&Augmentation::default()), 1, None), trained(None, 1, None));
}

#[test]
fn validation_is_standardized_and_not_changed_at_random() {
    let (train, validation) = (bars(70), bars(33));
    let augmentation = everything().fit(&train).unwrap();
    let mut model = compiled();
    let fit = Fit { augmentation: Some(&augmentation), validation_data: Some(&validation), ..Fit::default() };
    let val_loss = model.fit(&train, fit).unwrap().epochs[0].val_loss.unwrap();
    let standardized = model.evaluate(&augmentation.standardize(&validation).unwrap()).unwrap();
    assert!(close(val_loss, standardized.loss, 1e-5), "{val_loss} {standardized:?}");
    assert!(!close(val_loss, model.evaluate(&validation).unwrap().loss, 1e-5));
}

#[test]
fn half_of_the_images_are_flipped_and_nothing_else_happens_to_them() {
    let data = Dataset::from_u8([1, 3, 1], vec![10, 20, 40], Labels::index(vec![0], 1)).unwrap();
    let augmentation = Augmentation { horizontal_flip: true, ..Augmentation::default() };
    let sheet = augmentation.preview(device(), &data, [20, 50], 1, 7).unwrap();
    let red: Vec<u8> = sheet.pixels.chunks(3).map(|pixel| pixel[0]).collect();
    let [mut plain, mut flipped] = [0, 0];
    for row in 0..20 {
        for column in 0..50 {
            let first = (2 + row * 3) * sheet.width + 2 + column * 5;
            match red[first..first + 3] {
                [10, 20, 40] => plain += 1,
                [40, 20, 10] => flipped += 1,
                ref other => panic!("{other:?}"),
            }
        }
    }
    assert!(plain + flipped == 1000 && (450..550).contains(&flipped), "{plain} {flipped}");
}

#[test]
fn an_augmentation_is_read_from_the_arguments_of_keras() {
    let text = json!({
        "rotation_range": 15, "width_shift_range": 0.1, "height_shift_range": 2, "zoom_range": [0.9, 1.2],
        "fill_mode": "reflect", "horizontal_flip": true, "rescale": 0.5,
    });
    let found: Augmentation = serde_json::from_value(text).unwrap();
    let expected = Augmentation {
        rotation_range: 15.0,
        width_shift_range: ShiftRange::Range(0.1),
        height_shift_range: ShiftRange::Whole(2),
        zoom_range: ZoomRange::Pair([0.9, 1.2]),
        fill_mode: kiln::augmentation::FillMode::Reflect,
        horizontal_flip: true,
        rescale: Some(0.5),
        ..Augmentation::default()
    };
    assert_eq!(found, expected);
    let written = serde_json::to_string(&expected).unwrap();
    assert_eq!(serde_json::from_str::<Augmentation>(&written).unwrap(), expected);
    let error = serde_json::from_value::<Augmentation>(json!({ "rotation": 15 })).unwrap_err().to_string();
    assert!(error.contains("unknown field `rotation`") && error.contains("rotation_range"), "{error}");
}

#[test]
fn arguments_that_make_no_sense_are_errors_that_say_what_does() {
    let default = Augmentation::default;
    let wrong = [
        (Augmentation { rotation_range: -1.0, ..default() }, "rotation_range: expected an angle in degrees"),
        (Augmentation { width_shift_range: vec![].into(), ..default() }, "width_shift_range: expected a fraction"),
        (Augmentation { height_shift_range: f64::NAN.into(), ..default() }, "height_shift_range: expected a fraction"),
        (Augmentation { zoom_range: 1.0.into(), ..default() }, "zoom_range: expected a number at least 0 and below 1"),
        (Augmentation { zoom_range: [1.2, 0.8].into(), ..default() }, "zoom_range: expected"),
        (Augmentation { brightness_range: Some([2.0, 1.0]), ..default() }, "brightness_range: expected two factors"),
        (Augmentation { interpolation_order: 3, ..default() }, "interpolation_order: expected 0 or 1, found 3"),
        (Augmentation { featurewise_center: true, ..default() }, "call `fit` on it, found none"),
    ];
    for (augmentation, expected) in wrong {
        let fit = Fit { augmentation: Some(&augmentation), ..Fit::default() };
        let error = compiled().fit(&bars(9), fit).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let broken = Dataset::from_f32([1, 1, 1], vec![0.0, f32::NAN], Labels::index(vec![0, 0], 1)).unwrap();
    let large = Dataset::from_u8([150, 150, 1], vec![0; 150 * 150], Labels::index(vec![0], 1)).unwrap();
    for (data, expected) in [
        (&bars(0), "data: expected at least one sample, found an empty data set"),
        (&broken, "data: expected finite values, found a channel with non-finite values"),
        (&large, "zca_whitening: expected samples of at most 16384 values, found samples [150, 150, 1]"),
    ] {
        let error = Augmentation { zca_whitening: true, ..default() }.fit(data).unwrap_err().to_string();
        assert_eq!(error, expected);
    }
    let other =
        Augmentation { featurewise_center: true, ..default() }.fit(&images(&Recorded::open().get("many"))).unwrap();
    let error = other.standardize(&bars(3)).unwrap_err().to_string();
    assert_eq!(error, "augmentation: expected one fitted to samples of 36 values, found one of 48 values");
}

#[test]
fn samples_that_are_no_images_cannot_be_changed() {
    let data = Dataset::from_f32([4], vec![0.0; 8], Labels::index(vec![0, 1], 2)).unwrap();
    let mut model = Sequential::new([4]);
    model.add(kiln::layers::Dense::new(2).activation(kiln::layers::Activation::Softmax).named("d"));
    model.compile(device(), Compile::default()).unwrap();
    let augmentation = Augmentation { horizontal_flip: true, ..Augmentation::default() };
    let error = model.fit(&data, Fit { augmentation: Some(&augmentation), ..Fit::default() }).unwrap_err().to_string();
    assert_eq!(error, "augmentation: expected images [height, width, channels], found samples [4]");
}
