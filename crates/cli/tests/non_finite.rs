//! A training that encounters a NaN fails and keeps finite weights, on the processor and on a driver.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;

/// The names of the processor and of a GPU or software driver on this system.
const DEVICES: [&str; 2] = [
    "cpu",
    if cfg!(target_os = "macos") {
        "metal"
    } else if cfg!(windows) {
        "dx12"
    } else {
        "vulkan"
    },
];

/// 64 images, of which one has a NaN among its pixels, and a network with a convolution, a rectifier and a softmax.
fn fixture(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/nan_pixel").join(file)
}

/// Trains on a file. Returns the exit status and the standard error.
fn train(device: &str, data: &Path, out: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    command.arg("train").arg(fixture("model.json")).arg("--data").arg(data).arg("--out").arg(out);
    let output = command.args(["--device", device]).args(arguments).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// All values of a safetensors file of f32.
fn values(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| -> Vec<f32> {
        data.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
    };
    tensors.tensors().iter().flat_map(|(_, tensor)| floats(tensor.data())).collect()
}

/// The fixture's data without the NaN.
fn finite(folder: &Path) -> PathBuf {
    let mut bytes = std::fs::read(fixture("data.safetensors")).unwrap();
    let start = bytes.len() - 64 * 4 - 64 * 144 * 4;
    for word in bytes[start..].chunks_exact_mut(4).take(64 * 144) {
        if f32::from_le_bytes(word.try_into().unwrap()).is_nan() {
            word.copy_from_slice(&0.5f32.to_le_bytes());
        }
    }
    let path = folder.join("finite.safetensors");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_nan_pixel_ends_the_training_and_leaves_the_initial_weights() {
    for device in DEVICES {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let (status, error) = train(device, &fixture("data.safetensors"), &out, &["--epochs", "3"]);
        assert_eq!(status, 1, "{device}: {error}");
        assert!(error.contains("the loss is NaN at epoch 1, step 1;"), "{device}: {error}");
        assert!(error.contains("the last finite weights, the initial ones, are in "), "{device}: {error}");
        assert_eq!(error.matches("the loss is NaN").count(), 1, "{device}: {error}");
        let weights = values(&out.join("weights.safetensors"));
        assert!(weights.len() == 4 * 9 + 4 + 100 * 3 + 3 && weights.iter().all(|v| v.is_finite()), "{device}");
        assert!(!out.join("checkpoint.safetensors").exists(), "{device}");
    }
}

#[test]
fn a_nan_that_comes_with_a_resumed_training_leaves_the_weights_of_the_last_epoch() {
    for device in DEVICES {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        // One step per epoch. The second is too large: its loss is finite, but the updated weights are not.
        let arguments = ["--batch-size", "64", "--optimizer", "sgd", "--learning-rate", "1e30"];
        let once = [&arguments[..], &["--epochs", "1"]].concat();
        let (status, error) = train(device, &finite(folder.path()), &out, &once);
        assert_eq!(status, 0, "{device}: {error}");
        let (weights, checkpoint) = ("weights.safetensors", "checkpoint.safetensors");
        let before = [weights, checkpoint].map(|file| std::fs::read(out.join(file)).unwrap());
        assert!(values(&out.join(weights)).iter().all(|v| v.is_finite()), "{device}");
        let again = [&arguments[..], &["--epochs", "5", "--resume"]].concat();
        let (status, error) = train(device, &finite(folder.path()), &out, &again);
        assert_eq!(status, 1, "{device}: {error}");
        assert!(error.contains("the last finite weights, those of epoch 1, are in "), "{device}: {error}");
        let after = [weights, checkpoint].map(|file| std::fs::read(out.join(file)).unwrap());
        assert!(before == after, "{device}: the files of epoch 1 have changed");
    }
}

#[test]
fn initial_weights_that_are_not_finite_end_the_training_and_are_not_saved() {
    for device in DEVICES {
        let folder = tempfile::tempdir().unwrap();
        let [good, out] = ["good", "run"].map(|name| folder.path().join(name));
        let data = finite(folder.path());
        let (status, error) = train(device, &data, &good, &["--epochs", "1"]);
        assert_eq!(status, 0, "{device}: {error}");
        // Replaces the last value, a bias, by NaN.
        let mut weights = std::fs::read(good.join("weights.safetensors")).unwrap();
        let last = weights.len() - 4;
        weights[last..].copy_from_slice(&f32::NAN.to_le_bytes());
        let path = folder.path().join("nan.safetensors");
        std::fs::write(&path, weights).unwrap();
        let (status, error) = train(device, &data, &out, &["--epochs", "2", "--weights", path.to_str().unwrap()]);
        assert_eq!(status, 1, "{device}: {error}");
        assert!(error.contains("the initial weights are not finite: nothing is saved"), "{device}: {error}");
        assert!(!out.join("weights.safetensors").exists(), "{device}");
    }
}
