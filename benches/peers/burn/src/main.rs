//! Images per second of burn: the networks of `benches/training.rs`, trained with Adam.
//!
//! `cargo run --release --manifest-path benches/peers/burn/Cargo.toml -- lenet|cifar10_deep wgpu|cpu [STEPS]`
//!
//! burn caches its autotuning in `target/autotune` of the current folder.
//!
//! Batches of 128 made-up images on the device. `wgpu` is burn's WGSL backend on the first adapter (lavapipe, if
//! nothing else is installed), `cpu` is its ndarray backend. The first step, with its tuning, is timed separately; the
//! following steps are timed one by one until their loss is on the host, and the median is reported.

use std::time::Instant;

use burn::backend::{Autodiff, NdArray, Wgpu};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Distribution, ElementConversion, Int, Tensor};

const BATCH: usize = 128;
const CLASSES: usize = 10;

/// Convolutions with ReLU, each optionally followed by pooling and dropout; then two dense layers.
#[derive(Module, Debug)]
struct Network<B: Backend> {
    convolutions: Vec<Conv2d<B>>,
    hidden: Linear<B>,
    output: Linear<B>,
    pool: MaxPool2d,
    relu: Relu,
    dropouts: Vec<Dropout>,
    /// Whether pooling follows each convolution.
    pooled: Vec<bool>,
}

impl<B: Backend> Network<B> {
    fn lenet(device: &B::Device) -> Self {
        let convolution = |channels| Conv2dConfig::new(channels, [5, 5]).with_padding(PaddingConfig2d::Same).init(device);
        Network {
            convolutions: vec![convolution([1, 20]), convolution([20, 50])],
            hidden: LinearConfig::new(50 * 7 * 7, 500).init(device),
            output: LinearConfig::new(500, CLASSES).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            relu: Relu::new(),
            dropouts: vec![],
            pooled: vec![true, true],
        }
    }

    fn cifar10_deep(device: &B::Device) -> Self {
        let convolution = |channels, padding| Conv2dConfig::new(channels, [3, 3]).with_padding(padding).init(device);
        let dropout = |rate| DropoutConfig::new(rate).init();
        Network {
            convolutions: vec![
                convolution([3, 32], PaddingConfig2d::Same),
                convolution([32, 32], PaddingConfig2d::Same),
                convolution([32, 64], PaddingConfig2d::Same),
                convolution([64, 64], PaddingConfig2d::Valid),
            ],
            hidden: LinearConfig::new(64 * 7 * 7, 512).init(device),
            output: LinearConfig::new(512, CLASSES).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            relu: Relu::new(),
            dropouts: vec![dropout(0.25), dropout(0.25), dropout(0.5)],
            pooled: vec![false, true, false, true],
        }
    }

    fn logits(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let mut x = images;
        let mut dropouts = self.dropouts.iter();
        for (convolution, pooled) in self.convolutions.iter().zip(&self.pooled) {
            x = self.relu.forward(convolution.forward(x));
            if *pooled {
                x = self.pool.forward(x);
                if let Some(dropout) = dropouts.next() {
                    x = dropout.forward(x);
                }
            }
        }
        let mut x = self.relu.forward(self.hidden.forward(x.flatten(1, 3)));
        if let Some(dropout) = dropouts.next() {
            x = dropout.forward(x);
        }
        self.output.forward(x)
    }
}

fn measure<B: AutodiffBackend>(name: &str, backend: &str, steps: usize) {
    let device = B::Device::default();
    let (mut model, shape) = match name {
        "lenet" => (Network::<B>::lenet(&device), [BATCH, 1, 28, 28]),
        _ => (Network::<B>::cifar10_deep(&device), [BATCH, 3, 32, 32]),
    };
    let mut optimizer = AdamConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let images = Tensor::<B, 4>::random(shape, Distribution::Uniform(0.0, 1.0), &device);
    let labels = Tensor::<B, 1>::random([BATCH], Distribution::Uniform(0.0, CLASSES as f64), &device);
    let labels: Tensor<B, 1, Int> = labels.int();

    let mut seconds = Vec::new();
    for _ in 0..=steps {
        let start = Instant::now();
        let value = loss.forward(model.logits(images.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(value.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
        let _: f32 = value.into_scalar().elem();
        seconds.push(start.elapsed().as_secs_f64());
        println!("{name}, {backend}: step {} took {:.3} s", seconds.len(), seconds[seconds.len() - 1]);
    }
    let first = seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    println!("{name}, {backend}: first step {first:.1} s, then {:.1} images/s", BATCH as f64 / median);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps = arguments.get(2).map_or(5, |steps| steps.parse().expect("a number of steps"));
    match [arguments.first(), arguments.get(1)].map(|argument| argument.map(String::as_str)) {
        [Some(name @ ("lenet" | "cifar10_deep")), Some("wgpu")] => measure::<Autodiff<Wgpu>>(name, "wgpu", steps),
        [Some(name @ ("lenet" | "cifar10_deep")), Some("cpu")] => measure::<Autodiff<NdArray>>(name, "cpu", steps),
        _ => eprintln!("expected: lenet|cifar10_deep wgpu|cpu [STEPS]"),
    }
}
