//! Resized images compared with PIL: `fixtures/load_img`, written by `peers/pil.py`.

use std::path::Path;

use kiln::data::{ColorMode, Interpolation, LoadImg, load_img};
use safetensors::SafeTensors;

#[test]
fn images_are_resized_as_pil_does_in_every_bit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/load_img");
    let file = std::fs::read(folder.join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&file).unwrap();
    assert_eq!(expected.len(), 2 * 6 * 6);
    for (name, tensor) in expected.iter() {
        let words: Vec<&str> = name.split(' ').collect();
        let options = LoadImg {
            color_mode: if words[0] == "rgb" { ColorMode::Rgb } else { ColorMode::Grayscale },
            target_size: Some([tensor.shape()[0], tensor.shape()[1]]),
            interpolation: interpolation(words[1]),
        };
        let image = load_img(folder.join("image.png"), &options).unwrap();
        assert_eq!(&image.shape[..], tensor.shape(), "{name}");
        assert!(image.values == tensor.data(), "{name}");
    }
}

fn interpolation(name: &str) -> Interpolation {
    match name {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        "lanczos" => Interpolation::Lanczos,
        "box" => Interpolation::Box,
        "hamming" => Interpolation::Hamming,
        other => panic!("unknown: {other}"),
    }
}

#[test]
fn an_image_that_is_not_resized_keeps_its_size_and_becomes_floats_of_0_to_255() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/load_img/image.png");
    let image = load_img(path, &LoadImg::default()).unwrap();
    assert_eq!(image.shape, [13, 17, 3].into());
    assert!(image.to_f32().iter().zip(&image.values).all(|(float, byte)| *float == f32::from(*byte)));
}
