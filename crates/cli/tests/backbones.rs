//! Backbones on the command line: features, fine-tuning and predictions, with made-up weights and pictures.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};
use kiln::models::{Top, vgg16};

/// Runs a command; returns the exit status and both outputs.
fn kiln(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let output = command.args(arguments).current_dir(folder).env("KILN_DEVICE", "cpu").output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let (status, text) = kiln(folder, arguments);
    assert_eq!(status, 0, "{arguments:?}: {text}");
    text
}

/// Bright and dark pictures, a folder per class.
fn write_pictures(folder: &Path) {
    for (part, count) in [("train", 8), ("test", 4)] {
        for (class, level) in [("bright", 200), ("dark", 30)] {
            let into = folder.join("photos").join(part).join(class);
            std::fs::create_dir_all(&into).unwrap();
            for i in 0..count {
                let pixel = |x: u32, y: u32| Rgb([level + (x * 3 + i) as u8 % 40, level, level + y as u8]);
                RgbImage::from_fn(40, 36, pixel).save(into.join(format!("{i}.png"))).unwrap();
            }
        }
    }
}

#[test]
fn a_backbone_gives_features_learns_a_task_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_pictures(folder);
    vgg16([32, 32, 3], Top::None).save_weights(folder.join("w.safetensors")).unwrap();
    let backbone = ["--weights", "w.safetensors", "--image-size", "32x32"];
    let picture = "photos/test/bright/0.png";

    let features = ["features", "vgg16", picture, picture, "--layer", "block4_pool", "--out", "f.safetensors"];
    let text = succeed(folder, &[&features[..], &backbone].concat());
    assert!(text.contains("x [2, 2, 2, 512] in f.safetensors"), "{text}");

    let finetune = ["finetune", "vgg16", "--data", "photos", "--head", "8", "--epochs", "2", "--batch-size", "4"];
    let stages = ["--then-unfreeze", "15", "--cache", "cache.safetensors", "--out", "run"];
    let text = succeed(folder, &[&finetune[..], &backbone, &stages].concat());
    assert!(text.contains("from layer 15 on, block5_conv1 (Conv2D)") && text.contains("Epoch 4/4"), "{text}");
    for file in ["model.json", "weights.safetensors", "history.json", "history.png", "run.json"] {
        assert!(folder.join("run").join(file).is_file(), "{file}");
    }
    assert!(folder.join("cache.safetensors").is_file());
    let (status, text) = kiln(folder, &[&finetune[..], &backbone, &["--out", "run"]].concat());
    let expected = "run: expected a folder without a training, found vgg16 trained on ";
    assert!(status == 1 && text.contains(expected) && text.contains("--overwrite"), "{text}");

    let text = succeed(folder, &["predict", "run", picture]);
    assert!(text.contains("bright") && text.contains("dark"), "{text}");
    let text = succeed(folder, &["evaluate", "run"]);
    assert!(text.starts_with("8 test images"), "{text}");
}

#[test]
fn what_a_backbone_lacks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_pictures(folder);
    let picture = "photos/test/bright/0.png";
    let (status, text) = kiln(folder, &["predict", "vgg16", picture]);
    assert_eq!((status, &*text), (1, "error: vgg16 requires pretrained weights; pass a file with --weights\n"));

    let lenet = ["finetune", "lenet", "--weights", "w.safetensors", "--data", "photos"];
    let (status, text) = kiln(folder, &lenet);
    let backbones = "vgg16, inception_v3, resnet50, mobilenet_v2, efficientnet_b0, torchvision/resnet50, \
                     torchvision/mobilenet_v2, torchvision/efficientnet_b0";
    assert_eq!((status, text), (1, format!("error: unknown backbone `lenet`; expected one of {backbones}\n")));

    let finetune = ["finetune", "vgg16", "--weights", "w", "--data", "photos", "--image-size", "32x32"];
    let (status, text) = kiln(folder, &[&finetune[..], &["--then-unfreeze", "20"]].concat());
    assert!(status == 1 && text.contains("expected a range within the 19 layers, found 20..19"), "{text}");

    let features = ["features", "vgg16", picture, "--layer", "block4_poll", "--weights", "w", "--out", "f"];
    let (status, text) = kiln(folder, &features);
    assert!(status == 1 && text.contains("block4_pool") && text.contains("found `block4_poll`"), "{text}");
}
