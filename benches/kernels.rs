//! The speed of each op of a training step: `cargo bench --bench kernels`, on the device selected by `KILN_DEVICE`.
//!
//! The shapes are those of LeNet and of the deeper network for CIFAR-10, in batches of 128, and of three of
//! InceptionV3's layers; on GPUs also of a layer of each of VGG16's blocks, and a product of 4,096. Each op is timed
//! alone, with all of its kernel calls, many runs per submission. The table at the end has the median and spread of
//! each: products in GFLOP/s, all other ops in GB/s of their inputs and outputs, and the share of the device's peak.
//! The peak is the better of two measurements, before and after: chains of multiply-adds on the whole device, and a
//! copy larger than its caches. Smaller tensors may stay in a cache between runs and exceed it.
//! `kiln bench` prints the same table without Criterion's statistics.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use kiln::{Device, OpProgram};
use kiln_bench::{Measured, Peak, Samples, Workload, workloads};

const SAMPLES: usize = 10;

/// Times an op; `None` if the command line's filter excludes it.
fn measure(criterion: &mut Criterion, device: &Device, workload: &Workload) -> Option<Measured> {
    let mut program: Option<OpProgram> = None;
    let mut seconds = Vec::new();
    let mut group = criterion.benchmark_group(workload.name);
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    group.bench_function(&workload.layer, |bencher| {
        let program = program.get_or_insert_with(|| workload.on(device).unwrap());
        bencher.iter_custom(|times| {
            let took = program.run(times).unwrap();
            seconds.push(took.as_secs_f64() / times as f64);
            took
        });
    });
    group.finish();
    let program = program?;
    // The last runs are the samples; the others were warm-up.
    let samples = Samples::new(seconds.split_off(seconds.len().saturating_sub(SAMPLES)));
    Some(Measured::new(workload, &program, &samples))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let device = Device::best().unwrap();
    let (workloads, _) = workloads(device.info()).unwrap();
    let before = Peak::measure(&device).unwrap();
    let table: Vec<Measured> =
        workloads.iter().filter_map(|workload| measure(&mut criterion, &device, workload)).collect();
    criterion.final_summary();
    let peak = before.max(Peak::measure(&device).unwrap());
    println!("\n{}, {peak}\n", device.info());
    println!("{}", Measured::heading());
    table.iter().for_each(|measured| println!("{}", measured.line(&peak)));
}
