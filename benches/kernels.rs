//! How fast each op of a training step is: `cargo bench --bench kernels`, on the device that `KILN_DEVICE` names.
//!
//! The shapes are those of LeNet and of the deeper network for CIFAR-10, in batches of 128. An op is timed alone, with
//! all of its kernel calls, many runs per submission. The table at the end has the median of each: products in GFLOP/s,
//! all else in GB/s of the tensors that are taken and given, and the share of the device's peak. The peak is measured in
//! the same run, before and after, and the better counts: chains of multiply-adds on the whole device, and a copy larger
//! than its caches. Smaller tensors may stay in a cache from run to run and exceed it.

#![allow(clippy::unwrap_used)]

mod peak;
mod ready;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use kiln::Device;
use kiln::graph::{Array, DType, Op, TensorType};
use kiln::ops::{
    Activation, ActivationGradient, Adam, BatchNorm, BatchNormInference, BatchNormInputGradient, BatchNormSums, Conv2d,
    Conv2dInputGradient, Conv2dWeightGradient, Dropout, Function, Gather, Matmul, MaxPool2d, MaxPool2dGradient,
    Padding, SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient,
};

use crate::peak::Peak;
use crate::ready::Ready;

const BATCH: usize = 128;
const CLASSES: usize = 10;
const SAMPLES: usize = 10;

/// The layers of a network that take most of its time.
struct Network {
    name: &'static str,
    image: [usize; 3],
    /// Image height, width and channels, then the kernel's size and filters.
    convolutions: &'static [(&'static str, [usize; 3], usize, usize, Padding)],
    /// Height, width and channels of what is pooled, 2 x 2.
    pools: &'static [(&'static str, [usize; 3])],
    /// Features and units.
    dense: &'static [(&'static str, [usize; 2])],
    parameters: usize,
}

const NETWORKS: [Network; 2] = [
    Network {
        name: "lenet",
        image: [28, 28, 1],
        convolutions: &[("conv1", [28, 28, 1], 5, 20, Padding::Same), ("conv2", [14, 14, 20], 5, 50, Padding::Same)],
        pools: &[("pool1", [28, 28, 20]), ("pool2", [14, 14, 50])],
        dense: &[("fc1", [2450, 500]), ("fc2", [500, CLASSES])],
        parameters: 1_256_080,
    },
    Network {
        name: "cifar10_deep",
        image: [32, 32, 3],
        convolutions: &[
            ("conv1", [32, 32, 3], 3, 32, Padding::Same),
            ("conv2", [32, 32, 32], 3, 32, Padding::Same),
            ("conv3", [16, 16, 32], 3, 64, Padding::Same),
            ("conv4", [16, 16, 64], 3, 64, Padding::Valid),
        ],
        pools: &[("pool1", [32, 32, 32]), ("pool2", [14, 14, 64])],
        dense: &[("fc1", [3136, 512]), ("fc2", [512, CLASSES])],
        parameters: 1_676_842,
    },
];

/// An op to time: its name, its layer, and what it works on.
struct Row {
    name: &'static str,
    layer: String,
    op: Arc<dyn Op>,
    inputs: Vec<Array>,
    rewritten: Vec<Array>,
}

impl Row {
    fn new(name: &'static str, layer: &str, op: impl Op + 'static, inputs: Vec<Array>) -> Row {
        Row { name, layer: layer.to_owned(), op: Arc::new(op), inputs, rewritten: Vec::new() }
    }

    /// The shapes that go in, as `128x14x14x20 5x5x20x50`; those that are rewritten where all are alike.
    fn shapes(&self) -> String {
        let shape = |ty: &TensorType| ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        self.inputs.iter().take(2).map(|input| shape(&input.ty)).collect::<Vec<_>>().join(" ")
    }
}

/// A random value whose shape and contents matter little to the time.
fn random<const D: usize>(shape: [usize; D]) -> Array {
    Array::random(shape, D as u64)
}

fn convolutions(network: &Network) -> Vec<Row> {
    let mut rows = Vec::new();
    for (index, &(layer, [height, width, channels], size, filters, padding)) in network.convolutions.iter().enumerate()
    {
        let strides = [1, 1];
        let cut = if padding == Padding::Valid { size - 1 } else { 0 };
        let x = random([BATCH, height, width, channels]);
        let dy = random([BATCH, height - cut, width - cut, filters]);
        let kernel = random([size, size, channels, filters]);
        let forward = vec![x.clone(), kernel.clone(), random([filters])];
        rows.push(Row::new("conv2d", layer, Conv2d { strides, padding, bias: true }, forward));
        if index > 0 {
            let op = Conv2dInputGradient { strides, padding, image: [height, width] };
            rows.push(Row::new("conv2d_input_gradient", layer, op, vec![dy.clone(), kernel]));
        }
        let op = Conv2dWeightGradient { strides, padding, size: [size, size] };
        rows.push(Row::new("conv2d_weight_gradient", layer, op, vec![x, dy]));
    }
    rows
}

fn products(network: &Network) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(layer, [features, units]) in network.dense {
        let (x, kernel, dy) = (random([BATCH, features]), random([features, units]), random([BATCH, units]));
        let matmul = |transpose_a, transpose_b, bias| Matmul { transpose_a, transpose_b, bias };
        let forward = vec![x.clone(), kernel.clone(), random([units])];
        rows.push(Row::new("matmul_nn", layer, matmul(false, false, true), forward));
        rows.push(Row::new("matmul_nt", layer, matmul(false, true, false), vec![dy.clone(), kernel]));
        rows.push(Row::new("matmul_tn", layer, matmul(true, false, false), vec![x, dy]));
    }
    rows
}

fn element_wise(network: &Network) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(layer, [height, width, channels]) in network.pools {
        let (x, dy) = (random([BATCH, height, width, channels]), random([BATCH, height / 2, width / 2, channels]));
        rows.push(Row::new("dropout", layer, Dropout { rate: 0.25, stream: 1 }, vec![dy.clone()]));
        let pool = MaxPool2d { pool_size: [2, 2], strides: [2, 2], padding: Padding::Valid };
        rows.push(Row::new("max_pool2d", layer, pool, vec![x.clone()]));
        rows.push(Row::new("max_pool2d_gradient", layer, MaxPool2dGradient { pool }, vec![x.clone(), dy]));
        let function = Function::Relu;
        rows.push(Row::new("activation", layer, Activation { function }, vec![x.clone()]));
        rows.push(Row::new("activation_gradient", layer, ActivationGradient { function }, vec![x.clone(), x.clone()]));
        rows.extend(batch_normalization(layer, x, channels));
    }
    rows
}

fn batch_normalization(layer: &str, x: Array, channels: usize) -> Vec<Row> {
    let (epsilon, scale, center, of_batch) = (1e-3, true, true, true);
    let each = || random([channels]);
    let positive = || Array::f32([channels], vec![0.5; channels]);
    let forward = vec![x.clone(), each(), each()];
    let inference = vec![x.clone(), each(), positive(), each(), each()];
    let sums = vec![x.clone(), x.clone(), each(), positive()];
    let gradient = vec![x.clone(), positive(), each(), x, each(), each(), each()];
    vec![
        Row::new("batch_norm", layer, BatchNorm { epsilon, scale, center }, forward),
        Row::new("batch_norm_inference", layer, BatchNormInference { epsilon, scale, center }, inference),
        Row::new("batch_norm_sums", layer, BatchNormSums { epsilon }, sums),
        Row::new("batch_norm_input_gradient", layer, BatchNormInputGradient { epsilon, scale, of_batch }, gradient),
    ]
}

/// What a step does beside the layers: the batch, the loss, the optimizer.
fn rest(network: &Network) -> Vec<Row> {
    let [height, width, channels] = network.image;
    let images = Array::random_below([BATCH, height, width, channels], DType::U8, 256, 1);
    let order = Array::random_below([BATCH], DType::U32, BATCH as u64, 2);
    let logits = random([BATCH, CLASSES]);
    let labels = Array::random_below([BATCH], DType::U32, CLASSES as u64, 3);
    let loss_gradient = vec![logits.clone(), labels.clone(), random([BATCH]), random([BATCH])];
    let gather = Gather { batch: BATCH, scale: 1.0 / 255.0, offset: 0.0 };
    let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false };
    let flat = || random([network.parameters]);
    vec![
        Row::new("gather", "images", gather, vec![images, order]),
        Row::new("softmax_cross_entropy", "loss", SoftmaxCrossEntropy, vec![logits, labels]),
        Row::new("softmax_cross_entropy_gradient", "loss", SoftmaxCrossEntropyGradient, loss_gradient),
        Row {
            rewritten: vec![flat(), Array::zeros([network.parameters]), Array::zeros([network.parameters])],
            ..Row::new("adam", "parameters", adam, vec![flat()])
        },
    ]
}

/// One line of the table.
struct Measured {
    id: String,
    shapes: String,
    seconds: f64,
    flops: u64,
    bytes: u64,
}

impl Measured {
    fn print(&self, peak: &Peak) {
        let (amount, unit, most) = match self.flops {
            0 => (self.bytes, "GB/s", peak.bytes_per_second),
            flops => (flops, "GFLOP/s", peak.flops_per_second),
        };
        let rate = amount as f64 / self.seconds;
        let (ms, share) = (self.seconds * 1e3, 100.0 * rate / most);
        println!("{:<54} {:<30} {ms:>9.3} {:>8.1} {unit:<7} {share:>5.0} %", self.id, self.shapes, rate * 1e-9);
    }
}

/// Times an op; `None` where the command line's filter leaves it out.
fn measure(criterion: &mut Criterion, device: &Device, network: &Network, row: Row) -> Option<Measured> {
    let id = format!("{}/{}.{}", row.name, network.name, row.layer);
    let mut ready = Ready::new(device, row.op.clone(), &row.inputs, &row.rewritten);
    let mut seconds = Vec::new();
    let mut group = criterion.benchmark_group(row.name);
    group.sample_size(SAMPLES).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(600));
    group.throughput(match ready.flops {
        0 => Throughput::Bytes(ready.bytes),
        flops => Throughput::Elements(flops),
    });
    group.bench_function(format!("{}.{}", network.name, row.layer), |bencher| {
        bencher.iter_custom(|times| {
            let took = ready.run(times);
            seconds.push(took.as_secs_f64() / times as f64);
            took
        });
    });
    group.finish();
    // The last ones are the samples, those before warmed up.
    let mut samples = seconds.split_off(seconds.len().saturating_sub(SAMPLES));
    samples.sort_by(f64::total_cmp);
    let seconds = *samples.get(samples.len() / 2)?;
    Some(Measured { id, shapes: row.shapes(), seconds, flops: ready.flops, bytes: ready.bytes })
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let device = Device::best().unwrap();
    let before = Peak::measure(&device);
    let mut table = Vec::new();
    for network in &NETWORKS {
        let rows = [convolutions(network), products(network), element_wise(network), rest(network)];
        table.extend(rows.into_iter().flatten().filter_map(|row| measure(&mut criterion, &device, network, row)));
    }
    criterion.final_summary();
    let peak = before.max(Peak::measure(&device));
    let info = device.info();
    let (flops, bytes) = (peak.flops_per_second * 1e-9, peak.bytes_per_second * 1e-9);
    println!("\n{} ({} {}), peak {flops:.0} GFLOP/s and {bytes:.1} GB/s\n", info.name, info.backend, info.driver);
    println!("{:<54} {:<30} {:>9} {:>16} {:>7}", "op/network.layer", "shape", "ms", "rate", "of peak");
    table.iter().for_each(|measured| measured.print(&peak));
}
