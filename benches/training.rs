//! Images per second of training: `cargo bench --bench training`, on the device that `KILN_DEVICE` names.
//!
//! An iteration is one `fit` over batches of 128 made-up images that lie on the device, with Adam, as long as half a
//! second takes: several steps per submission, shuffled anew, and over only when the last loss is back on the host.
//! `benches/peers/keras.py` trains the same networks.

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, DType};
use kiln::{Compile, Device, Fit, Loss, Model, models};

const BATCH: usize = 128;
/// The steps by which the length of an iteration is found.
const FIRST_STEPS: usize = 4;
const MOST_STEPS: usize = 256;
const ITERATION: Duration = Duration::from_millis(500);

/// So many batches of random images.
fn made_up(model: &Model, batches: usize) -> Dataset {
    let (samples, shape) = (BATCH * batches, model.input_shape());
    let random = |shape, bound, seed| Array::random_below(shape, DType::U32, bound, seed).data.into_iter();
    let images = random(shape.batched(samples), 256, 1).map(|value| value as u8).collect();
    let labels = random([samples].into(), 10, 2).map(|value| value as u32).collect();
    Dataset::from_u8(shape.clone(), images, Labels::index(labels, 10)).unwrap()
}

fn train(model: &mut Model, data: &Dataset) {
    model.fit(data, Fit { batch_size: BATCH, ..Fit::default() }).unwrap();
}

/// How many steps fill an iteration. Compiles what is to be compiled.
fn steps_of_an_iteration(model: &mut Model) -> usize {
    let data = made_up(model, FIRST_STEPS);
    train(model, &data);
    let start = Instant::now();
    train(model, &data);
    let step = start.elapsed().as_secs_f64() / FIRST_STEPS as f64;
    ((ITERATION.as_secs_f64() / step) as usize).clamp(FIRST_STEPS, MOST_STEPS)
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let device = Device::best().unwrap();
    println!("{} ({} {})", device.info().name, device.info().backend, device.info().driver);
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(10 * ITERATION);
    for mut model in [models::lenet([28, 28, 1], 10), models::cifar10_deep([32, 32, 3], 10)] {
        let compile = Compile { loss: Loss::SparseCategoricalCrossentropy, ..Compile::default() };
        model.compile(&device, compile).unwrap();
        let steps = steps_of_an_iteration(&mut model);
        let data = made_up(&model, steps);
        group.throughput(Throughput::Elements(data.len() as u64));
        group.bench_function(model.name().to_owned(), |bencher| bencher.iter(|| train(&mut model, &data)));
    }
    group.finish();
    criterion.final_summary();
}
