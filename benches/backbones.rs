//! Time and memory of backbones: `cargo bench --bench backbones`, on the device selected by `KILN_DEVICE`.
//!
//! Each row runs in its own process and reports its peak resident memory (Linux only, without GPU memory). Weights and
//! images are random. Times are the best and the median of some runs after a warm-up. `-- PART` only runs the rows whose names have
//! this part.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::Instant;

use kiln::data::{Dataset, Labels};
use kiln::layers::{Activation, Dense, GlobalAveragePooling2D};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::models::{Top, efficientnet_b0, inception_v3, mobilenet_v2, resnet50, vgg16};
use kiln::optimizers::SGD;
use kiln::{Compile, Device, Fit, Model};

const RUNS: usize = 5;
const CLASSES: usize = 10;

type Row = (&'static str, fn(&Device) -> [f64; 2]);

const IMAGE: [usize; 3] = [224, 224, 3];
const TOP: Top = Top::Classes(CLASSES);

const ROWS: [Row; 11] = [
    ("VGG16, features of block4_pool, 1 image of 224 x 224", |device| {
        let vgg = vgg16([224, 224, 3], Top::None);
        predict(vgg.sub_model(vgg.get_layer("block4_pool").unwrap().output).unwrap(), device, 1)
    }),
    ("VGG16 with its top, 1 image of 224 x 224", |device| predict(vgg16([224, 224, 3], Top::IMAGENET), device, 1)),
    ("InceptionV3 with its top, 8 images of 299 x 299", |device| {
        predict(inception_v3([299, 299, 3], Top::IMAGENET), device, 8)
    }),
    ("InceptionV3, a step of the last two blocks and a head, 8 images", |device| fine_tuning_step(249, device)),
    ("InceptionV3, a step of all layers and a head, 8 images", |device| fine_tuning_step(0, device)),
    ("ResNet50, 8 images of 224 x 224", |device| predict(resnet50(IMAGE, TOP), device, 8)),
    ("ResNet50, a step of all layers, 8 images", |device| step(resnet50(IMAGE, TOP), device)),
    ("MobileNetV2, 8 images of 224 x 224", |device| predict(mobilenet_v2(IMAGE, TOP), device, 8)),
    ("MobileNetV2, a step of all layers, 8 images", |device| step(mobilenet_v2(IMAGE, TOP), device)),
    ("EfficientNetB0, 8 images of 224 x 224", |device| predict(efficientnet_b0(IMAGE, TOP), device, 8)),
    ("EfficientNetB0, a step of all layers, 8 images", |device| step(efficientnet_b0(IMAGE, TOP), device)),
];

/// Samples that need no scaling: some of the networks rescale their images themselves.
fn images(model: &Model, count: usize) -> Dataset {
    let shape = model.input_shape().clone();
    let pixels = (0..count * shape.elements()).map(|i| (i * 31 % 251) as f32 / 250.0).collect();
    let labels = (0..count).map(|i| (i % CLASSES) as u32).collect();
    Dataset::from_f32(shape, pixels, Labels::index(labels, CLASSES)).unwrap()
}

/// The best and the median time of a run in seconds, after a warm-up.
fn times(mut run: impl FnMut()) -> [f64; 2] {
    run();
    let mut times: Vec<f64> = std::iter::repeat_with(|| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64()
    })
    .take(RUNS)
    .collect();
    times.sort_by(f64::total_cmp);
    [times[0], times[RUNS / 2]]
}

fn predict(mut model: Model, device: &Device, count: usize) -> [f64; 2] {
    let data = images(&model, count);
    model.to_device(device).unwrap();
    times(|| drop(model.predict(&data).unwrap()))
}

/// A training step of InceptionV3 with a new head, the first layers frozen.
fn fine_tuning_step(frozen: usize, device: &Device) -> [f64; 2] {
    let mut model = inception_v3([299, 299, 3], Top::None);
    model.layers(..frozen).unwrap().set_trainable(false);
    let x = model.apply(GlobalAveragePooling2D::new(), model.output());
    let x = model.apply(Dense::new(1024).activation(Activation::Relu), x);
    model.apply(Dense::new(CLASSES).activation(Activation::Softmax), x);
    step(model, device)
}

/// A training step on 8 images.
fn step(mut model: Model, device: &Device) -> [f64; 2] {
    let optimizer = SGD { learning_rate: 1e-4.into(), momentum: 0.9, ..SGD::default() }.into();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(device, Compile { optimizer, loss, ..Compile::default() }).unwrap();
    let data = images(&model, 8);
    times(|| drop(model.fit(&data, Fit { batch_size: 8, ..Fit::default() }).unwrap()))
}

/// The peak of this process' resident memory, in MiB.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}

fn main() {
    const ROW: &str = "KILN_BENCH_ROW";
    if let Some(row) = std::env::var(ROW).ok().and_then(|row| row.parse::<usize>().ok()) {
        let (name, measure) = ROWS[row];
        let [best, median] = measure(&Device::best().unwrap());
        let memory = peak_memory().map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        println!("{name:<66} {best:>9.3} {median:>9.3} {memory:>9}");
        return;
    }
    println!("{}\n\n{:<66} {:>9} {:>9} {:>9}", Device::best().unwrap().info().name, "", "best s", "median", "MiB");
    // `cargo bench` passes `--bench`; another argument is a part of the names of the rows.
    let chosen = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for (row, (name, _)) in ROWS.iter().enumerate().filter(|(_, (name, _))| name.contains(&chosen)) {
        let done = Command::new(std::env::current_exe().unwrap()).env(ROW, row.to_string()).status().unwrap();
        if !done.success() {
            println!("{name:<66} failed");
        }
    }
}
