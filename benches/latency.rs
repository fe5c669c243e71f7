//! The latency of predicting one sample: `cargo bench --bench latency`, on the device selected by `KILN_DEVICE`; a part
//! of a network's name after `--` filters.
//!
//! Each call predicts a different made-up sample with `Model::predict_values` and ends when the outputs are on the
//! host. Weights are random. `benches/peers/keras.py` and `benches/peers/torch.py` measure the same networks with
//! `--latency`.

#![allow(clippy::unwrap_used)]

use std::time::Instant;

use kiln::models::{Top, cifar10_deep, inception_v3, lenet, vgg16};
use kiln::{Device, Model};

const CALLS: usize = 300;
/// The number of samples used in turn.
const SAMPLES: usize = 4;
const WARM_UP: usize = 10;

type Network = (&'static str, fn() -> Model);

const NETWORKS: [Network; 4] = [
    ("lenet", || lenet([28, 28, 1], 10)),
    ("cifar10_deep", || cifar10_deep([32, 32, 3], 10)),
    ("vgg16 to block4_pool", || {
        let vgg = vgg16([224, 224, 3], Top::None);
        vgg.sub_model(vgg.get_layer("block4_pool").unwrap().output).unwrap()
    }),
    ("inception_v3", || inception_v3([299, 299, 3], Top::IMAGENET)),
];

/// The times of all calls in microseconds, in ascending order.
fn times(mut model: Model, device: &Device) -> Vec<f64> {
    model.to_device(device).unwrap();
    let elements = model.input_shape().elements();
    let sample = |number: usize| (0..elements).map(move |i| ((i * 31 + number * 7) % 251) as f32 / 251.0);
    let samples: Vec<Vec<f32>> = (0..SAMPLES).map(|number| sample(number).collect()).collect();
    let mut times = Vec::with_capacity(CALLS);
    for call in 0..WARM_UP + CALLS {
        let sample = samples[call % SAMPLES].clone();
        let began = Instant::now();
        let predictions = model.predict_values(sample).unwrap();
        let time = began.elapsed().as_secs_f64() * 1e6;
        assert!(predictions.values[0].is_finite());
        if call >= WARM_UP {
            times.push(time);
        }
    }
    times.sort_by(f64::total_cmp);
    times
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let device = Device::best().unwrap();
    println!("{} ({} {})", device.info().name, device.info().backend, device.info().driver);
    println!("{:<22} {:>12} {:>20}   of {CALLS} calls", "us a sample", "median", "99th percentile");
    for (name, model) in NETWORKS {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            let times = times(model(), &device);
            println!("{name:<22} {:>12.0} {:>20.0}", times[CALLS / 2], times[CALLS * 99 / 100]);
        }
    }
}
