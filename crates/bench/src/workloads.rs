//! The benchmark workloads.

use std::sync::Arc;

use kiln::graph::{Array, DType, Op, TensorType};
use kiln::ops::{
    Activation, ActivationGradient, Adam, BatchNorm, BatchNormInference, BatchNormInputGradient, BatchNormSums, Conv2d,
    Conv2dInputGradient, Conv2dWeightGradient, Dropout, Function, Gather, Matmul, MaxPool2d, MaxPool2dGradient,
    Padding, SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient,
};
use kiln::{Alone, Device, Result};

const CLASSES: usize = 10;

/// A tensor to fill; its values hardly affect the time.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its type.
    pub ty: TensorType,
    fill: Fill,
}

#[derive(Clone, Copy, Debug)]
enum Fill {
    /// Uniform in [-1, 1).
    Random,
    Constant(f64),
    /// Integers below a bound.
    Below(u64),
}

impl Given {
    /// The tensor, filled.
    pub fn array(&self) -> Array {
        let Given { ty, fill } = self.clone();
        match fill {
            Fill::Random => Array::random(ty.shape, 1),
            Fill::Constant(value) => Array { data: vec![value; ty.shape.elements()], ty },
            Fill::Below(bound) => Array::random_below(ty.shape, ty.dtype, bound, 2),
        }
    }
}

fn random<const D: usize>(shape: [usize; D]) -> Given {
    Given { ty: TensorType::f32(shape), fill: Fill::Random }
}

fn constant<const D: usize>(shape: [usize; D], value: f64) -> Given {
    Given { ty: TensorType::f32(shape), fill: Fill::Constant(value) }
}

fn below<const D: usize>(shape: [usize; D], dtype: DType, bound: u64) -> Given {
    Given { ty: TensorType::new(shape, dtype), fill: Fill::Below(bound) }
}

/// An op to time, with its tensors.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The op's name, with its variant if there are several: `matmul_nt`.
    pub name: &'static str,
    /// Network and layer: `lenet.conv1`.
    pub layer: String,
    /// The op.
    pub op: Arc<dyn Op>,
    /// Its inputs.
    pub inputs: Vec<Given>,
    /// The tensors that it updates, if any.
    pub rewritten: Vec<Given>,
}

impl Workload {
    /// `conv2d/lenet.conv1`
    pub fn id(&self) -> String {
        format!("{}/{}", self.name, self.layer)
    }

    /// Creates the op on a device, with its tensors filled.
    ///
    /// # Errors
    /// When the device fails, or cannot run the op.
    pub fn on(&self, device: &Device) -> Result<Alone> {
        let arrays = |given: &[Given]| given.iter().map(Given::array).collect::<Vec<Array>>();
        Alone::new(device, self.op.clone(), &arrays(&self.inputs), &arrays(&self.rewritten))
    }

    /// The shapes of the first two inputs: `128x14x14x20 5x5x20x50`.
    pub fn shapes(&self) -> String {
        let shape = |ty: &TensorType| ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        self.inputs.iter().take(2).map(|input| shape(&input.ty)).collect::<Vec<_>>().join(" ")
    }
}

/// A convolution: the image's height, width and channels, the kernel's height and width, filters, padding.
type Convolution = (&'static str, [usize; 3], [usize; 2], usize, Padding);

/// The most expensive layers of a network.
struct Network {
    name: &'static str,
    batch: usize,
    image: [usize; 3],
    convolutions: &'static [Convolution],
    /// Height, width and channels of the inputs of 2 x 2 pooling.
    pools: &'static [(&'static str, [usize; 3])],
    /// Features and units.
    dense: &'static [(&'static str, [usize; 2])],
    parameters: usize,
}

const LENET: Network = Network {
    name: "lenet",
    batch: 128,
    image: [28, 28, 1],
    convolutions: &[
        ("conv1", [28, 28, 1], [5, 5], 20, Padding::Same),
        ("conv2", [14, 14, 20], [5, 5], 50, Padding::Same),
    ],
    pools: &[("pool1", [28, 28, 20]), ("pool2", [14, 14, 50])],
    dense: &[("fc1", [2450, 500]), ("fc2", [500, CLASSES])],
    parameters: 1_256_080,
};

const CIFAR10_DEEP: Network = Network {
    name: "cifar10_deep",
    batch: 128,
    image: [32, 32, 3],
    convolutions: &[
        ("conv1", [32, 32, 3], [3, 3], 32, Padding::Same),
        ("conv2", [32, 32, 32], [3, 3], 32, Padding::Same),
        ("conv3", [16, 16, 32], [3, 3], 64, Padding::Same),
        ("conv4", [16, 16, 64], [3, 3], 64, Padding::Valid),
    ],
    pools: &[("pool1", [32, 32, 32]), ("pool2", [14, 14, 64])],
    dense: &[("fc1", [3136, 512]), ("fc2", [512, CLASSES])],
    parameters: 1_676_842,
};

/// Three of InceptionV3's convolutions, with their Keras names: 3x3, 1x7 and 1x1, in batches of 8.
const INCEPTION_V3: [Convolution; 3] = [
    ("conv2d_4", [73, 73, 80], [3, 3], 192, Padding::Valid),
    ("conv2d_35", [17, 17, 128], [1, 7], 128, Padding::Same),
    ("conv2d_85", [8, 8, 2048], [1, 1], 320, Padding::Same),
];

/// All workloads: the layers of LeNet and of the deeper network for CIFAR-10 in batches of 128, three of InceptionV3's
/// in batches of 8, and a square matrix product.
pub fn workloads() -> Vec<Workload> {
    let mut list = Vec::new();
    for network in [&LENET, &CIFAR10_DEEP] {
        let mut add = Adder { network: network.name, list: &mut list };
        for (index, convolution) in network.convolutions.iter().enumerate() {
            add.convolution(network.batch, convolution, index > 0);
        }
        for dense in network.dense {
            add.products(network.batch, dense);
        }
        for pool in network.pools {
            add.element_wise(network.batch, pool);
        }
        add.rest(network);
    }
    let mut add = Adder { network: "inception_v3", list: &mut list };
    for convolution in &INCEPTION_V3 {
        add.convolution(8, convolution, true);
    }
    let square = Matmul { transpose_a: false, transpose_b: false, bias: false };
    Adder { network: "square", list: &mut list }.add("matmul_nn", "1024", square, vec![random([1024, 1024]); 2]);
    list
}

struct Adder<'a> {
    network: &'static str,
    list: &'a mut Vec<Workload>,
}

impl Adder<'_> {
    fn add(&mut self, name: &'static str, layer: &str, op: impl Op + 'static, inputs: Vec<Given>) {
        self.update(name, layer, op, inputs, Vec::new());
    }

    fn update(
        &mut self,
        name: &'static str,
        layer: &str,
        op: impl Op + 'static,
        inputs: Vec<Given>,
        rewritten: Vec<Given>,
    ) {
        let layer = format!("{}.{layer}", self.network);
        self.list.push(Workload { name, layer, op: Arc::new(op), inputs, rewritten });
    }

    /// The three kernels of a convolution; a network's first layer needs no gradient of its input.
    fn convolution(&mut self, batch: usize, convolution: &Convolution, input_gradient: bool) {
        let &(layer, [height, width, channels], [rows, columns], filters, padding) = convolution;
        let strides = [1, 1];
        let cut = |size: usize| if padding == Padding::Valid { size - 1 } else { 0 };
        let x = random([batch, height, width, channels]);
        let dy = random([batch, height - cut(rows), width - cut(columns), filters]);
        let kernel = random([rows, columns, channels, filters]);
        let forward = vec![x.clone(), kernel.clone(), random([filters])];
        self.add("conv2d", layer, Conv2d { strides, padding, bias: true }, forward);
        if input_gradient {
            let op = Conv2dInputGradient { strides, padding, image: [height, width] };
            self.add("conv2d_input_gradient", layer, op, vec![dy.clone(), kernel]);
        }
        let op = Conv2dWeightGradient { strides, padding, size: [rows, columns] };
        self.add("conv2d_weight_gradient", layer, op, vec![x, dy]);
    }

    /// The three products of a dense layer.
    fn products(&mut self, batch: usize, &(layer, [features, units]): &(&str, [usize; 2])) {
        let (x, kernel, dy) = (random([batch, features]), random([features, units]), random([batch, units]));
        let matmul = |transpose_a, transpose_b, bias| Matmul { transpose_a, transpose_b, bias };
        let forward = vec![x.clone(), kernel.clone(), random([units])];
        self.add("matmul_nn", layer, matmul(false, false, true), forward);
        self.add("matmul_nt", layer, matmul(false, true, false), vec![dy.clone(), kernel]);
        self.add("matmul_tn", layer, matmul(true, false, false), vec![x, dy]);
    }

    /// The ops around a pooling layer.
    fn element_wise(&mut self, batch: usize, &(layer, [height, width, channels]): &(&str, [usize; 3])) {
        let (x, dy) = (random([batch, height, width, channels]), random([batch, height / 2, width / 2, channels]));
        self.add("dropout", layer, Dropout { rate: 0.25, stream: 1 }, vec![dy.clone()]);
        let pool = MaxPool2d { pool_size: [2, 2], strides: [2, 2], padding: Padding::Valid };
        self.add("max_pool2d", layer, pool, vec![x.clone()]);
        self.add("max_pool2d_gradient", layer, MaxPool2dGradient { pool }, vec![x.clone(), dy]);
        let function = Function::Relu;
        self.add("activation", layer, Activation { function }, vec![x.clone()]);
        self.add("activation_gradient", layer, ActivationGradient { function }, vec![x.clone(), x.clone()]);

        let (epsilon, scale, center, of_batch) = (1e-3, true, true, true);
        let each = || random([channels]);
        let positive = || constant([channels], 0.5);
        let forward = vec![x.clone(), each(), each()];
        let inference = vec![x.clone(), each(), positive(), each(), each()];
        let sums = vec![x.clone(), x.clone(), each(), positive()];
        let gradient = vec![x.clone(), positive(), each(), x, each(), each(), each()];
        self.add("batch_norm", layer, BatchNorm { epsilon, scale, center }, forward);
        self.add("batch_norm_inference", layer, BatchNormInference { epsilon, scale, center }, inference);
        self.add("batch_norm_sums", layer, BatchNormSums { epsilon }, sums);
        let op = BatchNormInputGradient { epsilon, scale, of_batch };
        self.add("batch_norm_input_gradient", layer, op, gradient);
    }

    /// The rest of a step: the batch, the loss, the optimizer.
    fn rest(&mut self, network: &Network) {
        let (batch, [height, width, channels]) = (network.batch, network.image);
        let images = below([batch, height, width, channels], DType::U8, 256);
        let order = below([batch], DType::U32, batch as u64);
        let (logits, labels) = (random([batch, CLASSES]), below([batch], DType::U32, CLASSES as u64));
        let loss_gradient = vec![logits.clone(), labels.clone(), random([batch]), random([batch])];
        let gather = Gather { batch, scale: 1.0 / 255.0, offset: 0.0 };
        self.add("gather", "images", gather, vec![images, order]);
        self.add("softmax_cross_entropy", "loss", SoftmaxCrossEntropy, vec![logits, labels]);
        self.add("softmax_cross_entropy_gradient", "loss", SoftmaxCrossEntropyGradient, loss_gradient);
        let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false };
        let (gradient, zeros) = (random([network.parameters]), constant([network.parameters], 0.0));
        self.update("adam", "parameters", adam, vec![gradient.clone()], vec![gradient, zeros.clone(), zeros]);
    }
}
