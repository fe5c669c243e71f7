//! Damaged files of every supported format: they cause errors or other contents, but never panics or excessive memory.
//! A few hundred mutations of each, the same in every run; `KILN_FUZZ` sets the number.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use kiln::data::{LoadImg, cifar10, idx, load_img, load_safetensors, mnist};
use kiln::{Fit, History, LoadWeights, Model, Tune, models};
use kiln_bench::mutations;

use crate::allocations::largest;
use crate::common::{bars, compiled, device, model};
use crate::weights::vgg16;

/// The default number of mutations per file.
const USUAL: usize = 250;

/// The largest allocation allowed for one of these small files, in bytes.
const MOST: usize = 300 << 20;
/// A WebP file of a few bytes can be a uniform image of the maximum size, 16,383 x 16,383.
const MOST_OF_WEBP: usize = 4 * 16_383 * 16_383;

/// Reads each mutation of a file, under the file's name in its own folder.
fn read_mutations(name: &str, bytes: &[u8], usual: usize, mut read: impl FnMut(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let seed = name.bytes().fold(0u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
    for (number, mutated) in mutations(bytes, seed, usual).enumerate() {
        std::fs::write(&path, &mutated).unwrap();
        let most = largest(|| read(&path));
        let allowed = if name.ends_with("webp") { MOST_OF_WEBP } else { MOST };
        assert!(most <= allowed, "mutation {number} of {name} takes {most} bytes at once");
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of a file written by `save`.
fn saved(name: &str, save: impl FnOnce(&Path)) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path());
    std::fs::read(folder.path().join(name)).unwrap()
}

#[test]
fn mutations_of_model_json() {
    for network in [models::lenet([28, 28, 1], 10), models::cifar10_deep([32, 32, 3], 10)] {
        let bytes = saved("model.json", |folder| network.save(folder).unwrap());
        read_mutations("model.json", &bytes, USUAL, |path| {
            if let Ok(model) = Model::from_json_file(path) {
                assert!(!model.summary().to_string().is_empty());
            }
        });
    }
}

#[test]
fn mutations_of_weights_in_safetensors() {
    let bytes = saved("weights.safetensors", |folder| model().save(folder).unwrap());
    let mut model = model();
    read_mutations("weights.safetensors", &bytes, USUAL, |path| drop(model.load_weights(path)));
    let torch = std::fs::read(fixture("weights/vgg16_torchvision.safetensors")).unwrap();
    let mut vgg16 = vgg16(3);
    read_mutations("torch.safetensors", &torch, USUAL, |path| drop(vgg16.load_weights_with(path, LENIENT)));
}

/// Reads the matching weights and ignores others.
const LENIENT: LoadWeights = LoadWeights { by_name: true, skip_mismatch: true };

#[cfg(feature = "hdf5")]
#[test]
fn mutations_of_weights_in_hdf5() {
    use kiln::layers::{BatchNormalization, Conv2D, Dense, Flatten, Layer};

    let mut model = kiln::Sequential::new([4, 4, 1]);
    model
        .add(Conv2D::new(2, [3, 3]))
        .add(BatchNormalization::new().scale(false))
        .add(Conv2D::new(3, [1, 2]).use_bias(false))
        .add(Flatten)
        .add(Dense::new(2).named("head"));
    for name in ["keras3.weights", "keras3_model", "tf_keras.weights", "tf_keras_weights", "applications"] {
        let mut bytes = Vec::new();
        let packed = fixture("weights").join(format!("{name}.h5.gz"));
        std::io::copy(&mut idx::open(packed).unwrap(), &mut bytes).unwrap();
        read_mutations(&format!("{name}.h5"), &bytes, USUAL, |path| drop(model.load_weights_with(path, LENIENT)));
    }
}

/// Whole models with models within, and PyTorch's state dicts.
#[cfg(feature = "hdf5")]
#[test]
fn mutations_of_archives() {
    let unpacked = |name: &str| {
        let mut bytes = Vec::new();
        std::io::copy(&mut idx::open(fixture(&format!("{name}.gz"))).unwrap(), &mut bytes).unwrap();
        bytes
    };
    for name in ["nested.keras", "nested.h5"] {
        read_mutations(name, &unpacked(&format!("keras_files/{name}")), USUAL, |path| {
            if let Ok(model) = Model::load(path) {
                assert!(!model.summary().to_string().is_empty());
            }
        });
    }
    let mut vgg16 = vgg16(3);
    for name in ["vgg16_archive.pth", "vgg16_old.pth", "vgg16_checkpoint.pth"] {
        let bytes = unpacked(&format!("weights/{name}"));
        read_mutations(name, &bytes, USUAL, |path| drop(vgg16.load_weights_with(path, LENIENT)));
    }
}

#[test]
fn mutations_of_a_checkpoint() {
    let mut model = compiled();
    model.fit(&bars(9), Fit { epochs: 1, ..Fit::default() }).unwrap();
    let bytes = saved("c.safetensors", |folder| model.save_checkpoint(folder.join("c.safetensors")).unwrap());
    read_mutations("c.safetensors", &bytes, USUAL, |path| drop(model.load_checkpoint(path)));
}

#[test]
fn mutations_of_a_history() {
    let history = compiled().fit(&bars(9), Fit { epochs: 2, validation_split: 0.3, ..Fit::default() }).unwrap();
    let bytes = saved("history.json", |folder| history.save(folder).unwrap());
    read_mutations("history.json", &bytes, USUAL, |path| {
        if let Ok(history) = History::load(path.parent().unwrap()) {
            assert!(history.to_csv().len() < 1 << 20);
        }
    });
}

#[test]
fn mutations_of_idx_files() {
    let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28];
    let images = [&header[..], &[7; 2 * 784]].concat();
    for (name, bytes) in [("x-idx3-ubyte", images.clone()), ("x-idx3-ubyte.gz", gzip(&images))] {
        read_mutations(name, &bytes, USUAL, |path| drop(idx::read(path)));
    }
    let labels = [&[0, 0, 8, 1, 0, 0, 0, 2][..], &[3, 9]].concat();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train-images-idx3-ubyte"), images).unwrap();
    for mutated in mutations(&labels, 5, USUAL) {
        std::fs::write(folder.path().join("train-labels-idx1-ubyte"), mutated).unwrap();
        assert!(mnist(folder.path()).is_err(), "there are no test images");
    }
}

#[test]
fn mutations_of_cifar_files() {
    let record = [&[3][..], &[90; 3072]].concat();
    for (extension, bytes) in [("", record.repeat(3)), (".gz", gzip(&record.repeat(3)))] {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(format!("{name}.bin{extension}"));
        for number in 1..6 {
            std::fs::write(place(&format!("data_batch_{number}")), &bytes).unwrap();
        }
        std::fs::write(folder.path().join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n").unwrap();
        read_mutations("test_batch.bin", &bytes, USUAL, |path| {
            std::fs::rename(path, place("test_batch")).unwrap();
            if let Ok((_, test)) = cifar10(folder.path()) {
                assert!(test.len() <= 4);
            }
        });
    }
}

#[test]
fn mutations_of_data_in_safetensors() {
    let tensor = |dtype, shape: &[usize], bytes: &'static [u8]| {
        safetensors::tensor::TensorView::new(dtype, shape.to_vec(), bytes).unwrap()
    };
    use safetensors::Dtype;
    let tensors = [
        ("x", tensor(Dtype::U8, &[2, 3, 2, 1], &[5; 12])),
        ("y", tensor(Dtype::I64, &[2], &[0; 16])),
        ("sample_weight", tensor(Dtype::F32, &[2], &[0; 8])),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    read_mutations("data.safetensors", &bytes, USUAL, |path| drop(load_safetensors(path)));
}

#[test]
fn mutations_of_pictures() {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let image = image::RgbImage::from_fn(19, 13, |x, y| image::Rgb([(x * 13) as u8, (x * y) as u8, (y * 7) as u8]));
    for (extension, format) in [
        ("png", image::ImageFormat::Png),
        ("bmp", image::ImageFormat::Bmp),
        ("gif", image::ImageFormat::Gif),
        ("webp", image::ImageFormat::WebP),
    ] {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        files.push((format!("image.{extension}"), bytes.into_inner()));
    }
    for name in ["2x2", "2x1_progressive", "restart", "cmyk", "4x2_progressive"] {
        files.push((format!("{name}.jpg"), std::fs::read(fixture("jpeg").join(format!("{name}.jpg"))).unwrap()));
    }
    let options = LoadImg { target_size: Some([8, 8]), ..LoadImg::default() };
    for (name, bytes) in files {
        read_mutations(&name, &bytes, USUAL, |path| drop(load_img(path, &options)));
    }
}

#[test]
fn mutations_of_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let tuned = |tune| {
        let device = device().with_tuning(tune, Some(folder.path()));
        let mut model = model();
        model.to_device(&device).unwrap();
        model.predict(&bars(3)).unwrap().values
    };
    let expected = tuned(Tune::Full);
    let Some(file) = std::fs::read_dir(folder.path()).unwrap().next() else { return }; // a processor has one tile
    let file = file.unwrap().path();
    let bytes = std::fs::read(&file).unwrap();
    for mutated in mutations(&bytes, 3, USUAL / 10) {
        std::fs::write(&file, mutated).unwrap();
        assert_eq!(tuned(Tune::Cached), expected);
    }
}
