//! Images per second of training: `cargo bench --bench training`, on the device selected by `KILN_DEVICE`.
//!
//! An iteration is one `fit` of about half a second with Adam over batches of made-up images on the device: several
//! steps per submission, reshuffled, ending when the last loss is on the host. `benches/peers/keras.py` trains the same
//! networks.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use kiln::Device;
use kiln_bench::{Training, trainings};

const ITERATION: Duration = Duration::from_millis(500);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let device = Device::best().unwrap();
    println!("{} ({} {})", device.info().name, device.info().backend, device.info().driver);
    let mut group = criterion.benchmark_group("training");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(10 * ITERATION);
    for workload in trainings(device.info()) {
        let name = workload.name();
        let mut training = Training::new(&device, workload, ITERATION).unwrap();
        println!("{name}: the first step took {:.2} s", training.first_step().as_secs_f64());
        group.throughput(Throughput::Elements(training.samples() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| training.run().unwrap()));
    }
    group.finish();
    criterion.final_summary();
}
