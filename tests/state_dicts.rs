//! PyTorch's `.pth` files of torchvision's weights (`peers/state_dicts.py`).

use std::path::{Path, PathBuf};

use kiln::data::idx;

use crate::weights::{fixture, vgg16};

const FILES: [&str; 4] = ["vgg16_archive.pth", "vgg16_old.pth", "vgg16_checkpoint.pth", "vgg16_permuted.pth"];

fn unpacked(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    std::io::copy(&mut idx::open(fixture(&format!("{name}.gz"))).unwrap(), &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn state_dicts_have_the_weights_of_safetensors_in_every_format_of_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = vgg16(3);
    expected.load_weights(fixture("vgg16_torchvision.safetensors")).unwrap();
    let expected = expected.get_weights().unwrap();
    for name in FILES {
        let mut model = vgg16(3);
        model.initialize(8).unwrap();
        model.load_weights(unpacked(folder.path(), name)).unwrap();
        assert_eq!(model.get_weights().unwrap(), expected, "{name}");
    }
}

#[test]
fn damaged_state_dicts_are_errors_that_name_the_file_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = vgg16(3);
    let before = model.get_weights().unwrap();
    for name in FILES {
        let path = unpacked(folder.path(), name);
        let whole = std::fs::read(&path).unwrap();
        for cut in [10, 100, whole.len() / 2, whole.len() - 5] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let error = model.load_weights(&path).unwrap_err().to_string();
            assert!(error.contains(name), "{cut}: {error}");
        }
        assert_eq!(model.get_weights().unwrap(), before);
    }
}

#[test]
fn a_pickled_program_is_refused_and_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked(folder.path(), "vgg16_old.pth");
    let mut bytes = std::fs::read(&path).unwrap();
    let name = b"ccollections\nOrderedDict\n";
    let place = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes.splice(place..place + name.len(), *b"cposix\nsystem\n");
    std::fs::write(&path, bytes).unwrap();
    let error = vgg16(3).load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("found an object of posix.system, which Kiln does not execute"), "{error}");
}
