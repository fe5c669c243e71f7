//! Time and memory of VGG16 and InceptionV3: `cargo bench --bench backbones`, on the device selected by `KILN_DEVICE`.
//!
//! Each row runs in its own process and reports its peak resident memory (Linux only, without GPU memory). Weights and
//! images are random. Times are the median of a few runs after a warm-up.

#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::Instant;

use kiln::data::{Dataset, Labels};
use kiln::layers::{Activation, Dense, GlobalAveragePooling2D};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::models::{Top, inception_v3, vgg16};
use kiln::optimizers::SGD;
use kiln::{Compile, Device, Fit, Model};

const RUNS: usize = 3;
const CLASSES: usize = 10;

type Row = (&'static str, fn(&Device) -> f64);

const ROWS: [Row; 5] = [
    ("VGG16, features of block4_pool, 1 image of 224 x 224", |device| {
        let vgg = vgg16([224, 224, 3], Top::None);
        predict(vgg.sub_model(vgg.get_layer("block4_pool").unwrap().output).unwrap(), device, 1)
    }),
    ("VGG16 with its top, 1 image of 224 x 224", |device| predict(vgg16([224, 224, 3], Top::IMAGENET), device, 1)),
    ("InceptionV3 with its top, 8 images of 299 x 299", |device| {
        predict(inception_v3([299, 299, 3], Top::IMAGENET), device, 8)
    }),
    ("InceptionV3, a step of the last two blocks and a head, 8 images", |device| step(249, device)),
    ("InceptionV3, a step of all layers and a head, 8 images", |device| step(0, device)),
];

fn images(model: &Model, count: usize) -> Dataset {
    let shape = model.input_shape().clone();
    let pixels = (0..count * shape.elements()).map(|i| (i * 31 % 251) as u8).collect();
    let labels = (0..count).map(|i| (i % CLASSES) as u32).collect();
    Dataset::from_u8(shape, pixels, Labels::index(labels, CLASSES)).unwrap()
}

/// The median time of a run in seconds, after a warm-up.
fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = std::iter::repeat_with(|| {
        let began = Instant::now();
        run();
        began.elapsed().as_secs_f64()
    })
    .take(RUNS)
    .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}

fn predict(mut model: Model, device: &Device, count: usize) -> f64 {
    let data = images(&model, count);
    model.to_device(device).unwrap();
    median(|| drop(model.predict(&data).unwrap()))
}

/// A training step with a new head, the first layers frozen.
fn step(frozen: usize, device: &Device) -> f64 {
    let mut model = inception_v3([299, 299, 3], Top::None);
    model.layers(..frozen).unwrap().set_trainable(false);
    let x = model.apply(GlobalAveragePooling2D::new(), model.output());
    let x = model.apply(Dense::new(1024).activation(Activation::Relu), x);
    model.apply(Dense::new(CLASSES).activation(Activation::Softmax), x);
    let optimizer = SGD { learning_rate: 1e-4.into(), momentum: 0.9, ..SGD::default() }.into();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(device, Compile { optimizer, loss, ..Compile::default() }).unwrap();
    let data = images(&model, 8);
    median(|| drop(model.fit(&data, Fit { batch_size: 8, ..Fit::default() }).unwrap()))
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
        let seconds = measure(&Device::best().unwrap());
        let memory = peak_memory().map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        println!("{name:<66} {seconds:>9.3} {memory:>9}");
        return;
    }
    println!("{}\n\n{:<66} {:>9} {:>9}", Device::best().unwrap().info().name, "", "s", "MiB");
    for (row, (name, _)) in ROWS.iter().enumerate() {
        let done = Command::new(std::env::current_exe().unwrap()).env(ROW, row.to_string()).status().unwrap();
        if !done.success() {
            println!("{name:<66} failed");
        }
    }
}
