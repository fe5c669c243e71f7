//! Weights in other formats: Keras' files (`peers/weights.py`), and those of torchvision and timm
//! (`peers/torch_weights.py`).

use std::path::{Path, PathBuf};

use kiln::data::{Dataset, Labels};
use kiln::layers::{Activation, Conv2D, Dense, Flatten, Layer, MaxPooling2D, Padding};
use kiln::{LoadWeights, Model, Sequential};

use crate::common::device;

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/weights").join(name)
}

/// The channels of the recorded VGG16.
const FILTERS: [&[usize]; 5] = [&[2, 3], &[2, 3], &[2, 3, 2], &[3, 2, 3], &[2, 3, 4]];

pub fn vgg16(classes: usize) -> Model {
    let mut model = vgg16_without_top();
    model
        .add(Flatten)
        .add(Dense::new(5).activation(Activation::Relu).named("fc1"))
        .add(Dense::new(4).activation(Activation::Relu).named("fc2"))
        .add(Dense::new(classes).named("predictions"));
    model
}

fn vgg16_without_top() -> Model {
    let mut model = Sequential::new([64, 32, 3]).with_name("vgg16");
    for (block, filters) in (1..).zip(FILTERS) {
        for (number, &filters) in (1..).zip(filters) {
            let layer = Conv2D::new(filters, [3, 3]).padding(Padding::Same).activation(Activation::Relu);
            model.add(layer.named(format!("block{block}_conv{number}")));
        }
        model.add(MaxPooling2D::new([2, 2]).named(format!("block{block}_pool")));
    }
    model
}

/// The values of a tensor of a fixture.
fn values(file: &str, tensor: &str) -> Vec<f32> {
    let bytes = std::fs::read(fixture(file)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let bytes = tensors.tensor(tensor).unwrap().data();
    bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn vgg16_of_torchvision_and_of_timm_gives_what_it_gives_there() {
    let image = values("vgg16_expected.safetensors", "image");
    let expected = values("vgg16_expected.safetensors", "logits");
    let data = Dataset::from_f32([64, 32, 3], image, Labels::index(vec![0], 3)).unwrap();
    for file in ["vgg16_torchvision.safetensors", "vgg16_timm.safetensors"] {
        let mut model = vgg16(3);
        model.load_weights(fixture(file)).unwrap();
        model.to_device(device()).unwrap();
        let found = model.predict(&data).unwrap().values;
        let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
        let fits = found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= 1e-5 * scale);
        assert!(fits && found.len() == expected.len(), "{file}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn a_model_without_top_says_what_to_do_with_a_file_with_one() {
    let mut model = vgg16_without_top();
    let file = fixture("vgg16_torchvision.safetensors");
    let error = model.load_weights(&file).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "  fc1/bias [5] is not in the model",
            "  fc1/kernel [8, 5] is not in the model",
            "  fc2/bias [4] is not in the model",
            "  fc2/kernel [5, 4] is not in the model",
            "  predictions/bias [3] is not in the model",
            "  predictions/kernel [4, 3] is not in the model",
            "only the file has fc1, fc2, predictions; with `by_name`, they are left out",
        ]
    );
    let by_name = LoadWeights { by_name: true, ..LoadWeights::default() };
    assert_eq!(model.load_weights_with(&file, by_name).unwrap(), [""; 0]);
    assert_eq!(model.get_weights().unwrap()[1].values, values("vgg16_torchvision.safetensors", "features.0.bias"));
}

#[test]
fn a_top_that_the_file_has_not_keeps_its_weights() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no_top.safetensors");
    vgg16_without_top().save_weights(&path).unwrap();
    let mut model = vgg16(3);
    model.initialize(1).unwrap();
    let before = model.get_weights().unwrap();
    let error = model.load_weights(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("only the model has fc1, fc2, predictions; with `by_name`, they keep their weights"),
        "{error}"
    );
    assert_eq!(model.get_weights().unwrap(), before);

    let by_name = LoadWeights { by_name: true, ..LoadWeights::default() };
    assert_eq!(model.load_weights_with(&path, by_name).unwrap(), ["fc1", "fc2", "predictions"]);
    let (after, base) = (model.get_weights().unwrap(), vgg16_without_top().get_weights().unwrap());
    assert_eq!(after[..base.len()], base);
    assert_eq!(after[base.len()..], before[base.len()..]);
}

#[test]
fn a_layer_for_other_classes_is_skipped_on_demand() {
    let file = fixture("vgg16_timm.safetensors");
    let mut model = vgg16(7);
    let before = model.get_weights().unwrap();
    let error = model.load_weights(&file).unwrap_err().to_string();
    let lines: Vec<&str> = error.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "  predictions/kernel is [4, 3], the model has [4, 7]",
            "  predictions/bias is [3], the model has [7]",
            "the file has other variables in predictions; with `skip_mismatch`, they keep their weights",
        ]
    );
    let skip = LoadWeights { skip_mismatch: true, ..LoadWeights::default() };
    assert_eq!(model.load_weights_with(&file, skip).unwrap(), ["predictions"]);
    let after = model.get_weights().unwrap();
    assert_eq!(after[30..], before[30..]);
    assert_eq!(after[29].values, values("vgg16_timm.safetensors", "pre_logits.fc2.bias"));
}

#[test]
fn a_file_that_shares_nothing_is_an_error_whatever_is_left_out() {
    let mut model = Sequential::new([4]);
    model.add(Dense::new(2));
    let all = LoadWeights { by_name: true, skip_mismatch: true };
    let error = model.load_weights_with(fixture("vgg16_timm.safetensors"), all).unwrap_err().to_string();
    let first: Vec<&str> = error.lines().skip(1).take(3).collect();
    assert_eq!(
        first,
        [
            "  dense/kernel [4, 2] is missing",
            "  dense/bias [2] is missing",
            "  block1_conv1/bias [2] is not in the model",
        ]
    );
}

#[cfg(feature = "hdf5")]
mod hdf5 {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use kiln::layers::{BatchNormalization, Conv2D, Dense, Flatten, Layer};
    use kiln::{LoadWeights, Model, Sequential};

    use super::fixture;

    fn model() -> Model {
        let mut model = Sequential::new([4, 4, 1]);
        model
            .add(Conv2D::new(2, [3, 3]))
            .add(BatchNormalization::new().scale(false))
            .add(Conv2D::new(3, [1, 2]).use_bias(false))
            .add(Flatten)
            .add(Dense::new(2).named("head"));
        model
    }

    /// A file of the fixtures, decompressed to a folder.
    fn unpacked(folder: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
        let mut bytes = Vec::new();
        let packed = std::fs::File::open(fixture(&format!("{name}.gz"))).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    const FILES: [&str; 5] =
        ["keras3.weights.h5", "keras3_model.h5", "tf_keras.weights.h5", "tf_keras_weights.h5", "applications.h5"];

    #[test]
    fn every_form_of_keras_file_gives_the_same_weights() {
        let mut expected = model();
        expected.load_weights(fixture("keras.safetensors")).unwrap();
        let expected = expected.get_weights().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            let mut model = model();
            model.load_weights(unpacked(&folder, name)).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(model.get_weights().unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = Sequential::new([4, 4, 1]);
        model
            .add(Conv2D::new(2, [3, 3]))
            .add(BatchNormalization::new())
            .add(Conv2D::new(4, [1, 2]).use_bias(false))
            .add(Flatten)
            .add(Dense::new(2));
        let path = unpacked(&folder, "tf_keras_weights.h5");
        let error = model.load_weights(&path).unwrap_err().to_string();
        let lines: Vec<&str> = error.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  batch_normalization/gamma [2] is missing",
                "  dense/kernel [8, 2] is missing",
                "  dense/bias [2] is missing",
                "  head/bias [2] is not in the model",
                "  head/kernel [6, 2] is not in the model",
                "  conv2d_1/kernel is [1, 2, 2, 3], the model has [1, 2, 2, 4]",
                "only the model has dense; with `by_name`, they keep their weights",
                "only the file has head; with `by_name`, they are left out",
                "the file has other variables in batch_normalization, conv2d_1; with `skip_mismatch`, they keep their weights",
            ]
        );
        let all = LoadWeights { by_name: true, skip_mismatch: true };
        let kept = model.load_weights_with(&path, all).unwrap();
        assert_eq!(kept, ["batch_normalization", "conv2d_1", "dense"]);
    }

    #[test]
    fn damaged_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            let path = unpacked(&folder, name);
            let whole = std::fs::read(&path).unwrap();
            for cut in [9, 100, whole.len() / 8, whole.len() / 2] {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let error = model().load_weights(&path).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
            }
        }
    }

    #[test]
    fn a_damaged_archive_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.keras");
        std::fs::write(&path, b"PK\x03\x04 and so on").unwrap();
        let error = model().load_weights(&path).unwrap_err().to_string();
        assert!(error.contains("model.keras: expected a `.keras` file, found a damaged archive"), "{error}");
    }
}
