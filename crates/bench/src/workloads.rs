//! The benchmark workloads.

use std::sync::Arc;

use kiln::graph::{Array, DType, DeviceInfo, DeviceKind, Op, TensorType};
use kiln::models::{self, Top};
use kiln::ops::{
    Activation, ActivationGradient, Adam, BatchNorm, BatchNormInference, BatchNormInputGradient, BatchNormSums, Conv2d,
    Conv2dInputGradient, Conv2dWeightGradient, DepthwiseConv2d, DepthwiseConv2dInputGradient,
    DepthwiseConv2dWeightGradient, Dropout, Function, Gather, Matmul, MaxPool2d, MaxPool2dGradient, Padding,
    SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient,
};
use kiln::serde_json::{self, Value};
use kiln::{Device, Model, OpProgram, Result};

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
            Fill::Random => random_array(ty),
            Fill::Constant(value) => Array { data: vec![value; ty.shape.elements()], ty },
            Fill::Below(bound) => Array::random_below(ty.shape, ty.dtype, bound, 2),
        }
    }
}

/// Random values, which repeat after a while so that large tensors are filled quickly.
fn random_array(ty: TensorType) -> Array {
    const PERIOD: usize = 1 << 20;
    let elements = ty.shape.elements();
    let period = Array::random([elements.min(PERIOD)], 1).data;
    Array { data: period.iter().copied().cycle().take(elements).collect(), ty }
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
    only_gpus: bool,
}

impl Workload {
    /// Whether a device is measured with it.
    fn suits(&self, device: &DeviceInfo) -> bool {
        !self.only_gpus || is_gpu(device)
    }

    /// `conv2d/lenet.conv1`
    pub fn id(&self) -> String {
        format!("{}/{}", self.name, self.layer)
    }

    /// Creates the op on a device, with its tensors filled.
    ///
    /// # Errors
    /// If the device fails, or cannot run the op.
    pub fn on(&self, device: &Device) -> Result<OpProgram> {
        let arrays = |given: &[Given]| given.iter().map(Given::array).collect::<Vec<Array>>();
        OpProgram::new(device, self.op.clone(), &arrays(&self.inputs), &arrays(&self.rewritten))
    }

    /// The shapes of the first two inputs: `128x14x14x20 5x5x20x50`.
    pub fn shapes(&self) -> String {
        let shape = |ty: &TensorType| ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x");
        self.inputs.iter().take(2).map(|input| shape(&input.ty)).collect::<Vec<_>>().join(" ")
    }
}

/// A layer of a network: what it is and what goes in.
struct Layer {
    name: String,
    class_name: String,
    /// The shape of a sample that goes in.
    input: Vec<usize>,
    /// The shape of a sample that comes out.
    output: Vec<usize>,
    /// Its options, as Keras writes them.
    config: Value,
}

impl Layer {
    fn is(&self, class_name: &str) -> bool {
        self.class_name == class_name
    }

    /// A whole number among its options.
    fn option(&self, name: &str) -> usize {
        self.config[name].as_u64().unwrap_or_default() as usize
    }

    /// Two whole numbers among its options: `kernel_size`.
    fn pair(&self, name: &str) -> [usize; 2] {
        [0, 1].map(|at| self.config[name][at].as_u64().unwrap_or_default() as usize)
    }

    /// The shape that goes in, of an image.
    fn image(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.input.get(axis).copied().unwrap_or_default())
    }
}

/// The layers of a model that take one input, in Keras' order.
///
/// # Errors
/// If the model cannot be built.
fn layers(model: &Model) -> Result<Vec<Layer>> {
    let json: Value = serde_json::from_str(&model.to_json()?).unwrap_or_default();
    let summary = model.summary();
    let row = |name: &str| summary.rows.iter().find(|row| row.name == name);
    let mut layers = Vec::new();
    let mut before = model.input_shape().to_vec();
    for object in json["config"]["layers"].as_array().into_iter().flatten() {
        let config = object["config"].clone();
        let [name, class_name] = [&config["name"], &object["class_name"]].map(|text| text.as_str().unwrap_or_default());
        let Some(found) = row(name) else { continue };
        let input = match &found.connected_to[..] {
            [] => before,
            [first, ..] => row(&first.layer).and_then(|row| row.output_shapes.first().cloned()).unwrap_or(before),
        };
        let output = found.output_shapes.first().cloned().unwrap_or_default();
        before = output.clone();
        layers.push(Layer { name: name.to_owned(), class_name: class_name.to_owned(), input, output, config });
    }
    Ok(layers)
}

/// Whether a device is a GPU.
pub(crate) fn is_gpu(device: &DeviceInfo) -> bool {
    !matches!(device.kind, DeviceKind::Cpu | DeviceKind::Software)
}

/// The layers of InceptionV3 that are measured, by Keras' names: a convolution 3x3, a 1x7 and a 1x1.
const OF_INCEPTION_V3: [&str; 3] = ["conv2d_4", "conv2d_36", "conv2d_85"];

/// The layers of VGG16 that are measured on GPUs: a convolution of each block.
const OF_VGG16: [&str; 5] = ["block1_conv2", "block2_conv2", "block3_conv2", "block4_conv2", "block5_conv2"];

/// A depthwise convolution with padding 'same'.
struct Depthwise {
    network: &'static str,
    /// Keras' name.
    layer: &'static str,
    image: [usize; 3],
    /// Height and width of the window.
    size: usize,
    stride: usize,
}

const fn depthwise(
    network: &'static str,
    layer: &'static str,
    image: [usize; 3],
    size: usize,
    stride: usize,
) -> Depthwise {
    Depthwise { network, layer, image, size, stride }
}

/// The depthwise convolutions that are measured.
const DEPTHWISE: [Depthwise; 6] = [
    depthwise("mobilenet_v2", "expanded_conv_depthwise", [112, 112, 32], 3, 1),
    depthwise("mobilenet_v2", "block_3_depthwise", [56, 56, 144], 3, 2),
    depthwise("mobilenet_v2", "block_7_depthwise", [14, 14, 384], 3, 1),
    depthwise("mobilenet_v2", "block_14_depthwise", [7, 7, 960], 3, 1),
    depthwise("efficientnet_b0", "block5b_dwconv", [14, 14, 672], 5, 1),
    depthwise("convnext_tiny", "stage_0_block_0_depthwise_conv", [56, 56, 96], 7, 1),
];

/// The networks whose trainings and ops are measured: LeNet and the deeper network for CIFAR-10.
pub(crate) fn networks() -> [Model; 2] {
    [models::lenet([28, 28, 1], CLASSES), models::cifar10_deep([32, 32, 3], CLASSES)]
}

/// The workloads that a device is measured with, and those that take too long on it: the layers of LeNet and of the
/// deeper network for CIFAR-10 in batches of 128, three of InceptionV3's in batches of 8, depthwise convolutions of three
/// networks in batches of 32, and a square matrix product; for GPUs, one layer of each of VGG16's blocks in batches of 8, and
/// a large product.
///
/// # Errors
/// If one of Kiln's networks cannot be built.
pub fn workloads(device: &DeviceInfo) -> Result<(Vec<Workload>, Vec<Workload>)> {
    Ok(all()?.into_iter().partition(|workload| workload.suits(device)))
}

fn all() -> Result<Vec<Workload>> {
    let mut list = Vec::new();
    for model in networks() {
        let layers = layers(&model)?;
        let mut add = Adder { network: model.name(), batch: 128, only_gpus: false, list: &mut list };
        for (index, convolution) in layers.iter().filter(|layer| layer.is("Conv2D")).enumerate() {
            add.convolution(convolution, index > 0);
        }
        for dense in layers.iter().filter(|layer| layer.is("Dense")) {
            add.products(dense);
        }
        for pool in layers.iter().filter(|layer| layer.is("MaxPooling2D")) {
            add.element_wise(pool);
        }
        add.rest(&model);
    }
    let large = [
        (models::inception_v3([299, 299, 3], Top::None), &OF_INCEPTION_V3[..], false),
        (models::vgg16([224, 224, 3], Top::None), &OF_VGG16[..], true),
    ];
    for (model, names, only_gpus) in large {
        let mut add = Adder { network: model.name(), batch: 8, only_gpus, list: &mut list };
        for convolution in layers(&model)?.iter().filter(|layer| names.contains(&&*layer.name)) {
            add.convolution(convolution, true);
        }
    }
    for layer in &DEPTHWISE {
        Adder { network: layer.network, batch: 32, only_gpus: false, list: &mut list }.depthwise(layer);
    }
    let square = Matmul { transpose_a: false, transpose_b: false, bias: false };
    for (size, name, only_gpus) in [(1024, "1024", false), (4096, "4096", true)] {
        let mut add = Adder { network: "square", batch: 1, only_gpus, list: &mut list };
        add.add("matmul_nn", name, square, vec![random([size, size]); 2]);
    }
    Ok(list)
}

struct Adder<'a> {
    network: &'a str,
    batch: usize,
    only_gpus: bool,
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
        self.list.push(Workload { name, layer, op: Arc::new(op), inputs, rewritten, only_gpus: self.only_gpus });
    }

    /// The three kernels of a convolution; a network's first layer needs no gradient of its input.
    fn convolution(&mut self, layer: &Layer, input_gradient: bool) {
        let (batch, [height, width, channels], [rows, columns]) =
            (self.batch, layer.image(), layer.pair("kernel_size"));
        let (strides, filters) = (layer.pair("strides"), layer.option("filters"));
        let padding = if layer.config["padding"] == "same" { Padding::Same } else { Padding::Valid }.into();
        let x = random([batch, height, width, channels]);
        let dy = random([batch, layer.output[0], layer.output[1], filters]);
        let layer = &layer.name;
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

    /// The three kernels of a depthwise convolution.
    fn depthwise(&mut self, layer: &Depthwise) {
        let &Depthwise { layer, image: [height, width, channels], size, stride, .. } = layer;
        let (strides, padding, dilation) = ([stride; 2], Padding::Same.into(), [1, 1]);
        let x = random([self.batch, height, width, channels]);
        let dy = random([self.batch, height.div_ceil(stride), width.div_ceil(stride), channels]);
        let kernel = random([size, size, channels, 1]);
        let op = DepthwiseConv2d { strides, padding, dilation, bias: false };
        self.add("depthwise_conv2d", layer, op, vec![x.clone(), kernel.clone()]);
        let op = DepthwiseConv2dInputGradient { strides, padding, dilation, image: [height, width] };
        self.add("depthwise_conv2d_input_gradient", layer, op, vec![dy.clone(), kernel]);
        let op = DepthwiseConv2dWeightGradient { strides, padding, dilation, size: [size; 2] };
        self.add("depthwise_conv2d_weight_gradient", layer, op, vec![x, dy]);
    }

    /// The three products of a dense layer.
    fn products(&mut self, layer: &Layer) {
        let (batch, features, units) = (self.batch, layer.input.iter().product(), layer.option("units"));
        let layer = &layer.name;
        let (x, kernel, dy) = (random([batch, features]), random([features, units]), random([batch, units]));
        let matmul = |transpose_a, transpose_b, bias| Matmul { transpose_a, transpose_b, bias };
        let forward = vec![x.clone(), kernel.clone(), random([units])];
        self.add("matmul_nn", layer, matmul(false, false, true), forward);
        self.add("matmul_nt", layer, matmul(false, true, false), vec![dy.clone(), kernel]);
        self.add("matmul_tn", layer, matmul(true, false, false), vec![x, dy]);
    }

    /// The ops around a pooling layer.
    fn element_wise(&mut self, layer: &Layer) {
        let (batch, [height, width, channels], layer) = (self.batch, layer.image(), &layer.name);
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
    fn rest(&mut self, model: &Model) {
        let (batch, parameters) = (self.batch, model.summary().parameters());
        let images =
            Given { ty: TensorType::new(model.input_shape().batched(batch), DType::U8), fill: Fill::Below(256) };
        let order = below([batch], DType::U32, batch as u64);
        let (logits, labels) = (random([batch, CLASSES]), below([batch], DType::U32, CLASSES as u64));
        let loss_gradient = vec![logits.clone(), labels.clone(), random([batch]), random([batch])];
        let gather = Gather { batch, scale: 1.0 / 255.0, offset: 0.0 };
        self.add("gather", "images", gather, vec![images, order]);
        self.add("softmax_cross_entropy", "loss", SoftmaxCrossEntropy, vec![logits, labels]);
        self.add("softmax_cross_entropy_gradient", "loss", SoftmaxCrossEntropyGradient, loss_gradient);
        let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false };
        let (gradient, zeros) = (random([parameters]), constant([parameters], 0.0));
        self.update("adam", "parameters", adam, vec![gradient.clone()], vec![gradient, zeros.clone(), zeros]);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn workloads_have_the_shapes_of_their_networks_layers() {
        let workloads = all().unwrap();
        let shapes = |id: &str| workloads.iter().find(|workload| workload.id() == id).unwrap().shapes();
        assert_eq!(shapes("conv2d/lenet.conv2"), "128x14x14x20 5x5x20x50");
        assert_eq!(shapes("matmul_nn/lenet.fc1"), "128x2450 2450x500");
        assert_eq!(shapes("adam/lenet.parameters"), "1256080");
        assert_eq!(shapes("conv2d_input_gradient/cifar10_deep.conv4"), "128x14x14x64 3x3x64x64");
        assert_eq!(shapes("max_pool2d_gradient/cifar10_deep.pool2"), "128x14x14x64 128x7x7x64");
        assert_eq!(shapes("gather/cifar10_deep.images"), "128x32x32x3 128");
        let strided = "depthwise_conv2d_weight_gradient/mobilenet_v2.block_3_depthwise";
        assert_eq!(shapes(strided), "32x56x56x144 32x28x28x144");
        assert_eq!(shapes("conv2d/inception_v3.conv2d_36"), "8x17x17x128 1x7x128x128");
        assert_eq!(shapes("conv2d/inception_v3.conv2d_4"), "8x73x73x80 3x3x80x192");
        assert_eq!(shapes("conv2d_weight_gradient/vgg16.block1_conv2"), "8x224x224x64 8x224x224x64");
        assert!(workloads.iter().all(|workload| workload.id() != "conv2d_input_gradient/lenet.conv1"));
        let large = workloads.iter().filter(|workload| workload.only_gpus);
        let large: Vec<String> = large.map(Workload::id).filter(|id| !id.contains("gradient")).collect();
        let convolutions = OF_VGG16.iter().map(|layer| format!("conv2d/vgg16.{layer}"));
        assert_eq!(large, convolutions.chain(["matmul_nn/square.4096".to_owned()]).collect::<Vec<_>>());
        let cpu = Device::cpu().unwrap();
        let (suited, left_out) = super::workloads(cpu.info()).unwrap();
        assert!(
            suited.iter().all(|workload| !workload.only_gpus) && left_out.iter().all(|workload| workload.only_gpus)
        );
        assert_eq!(suited.len() + left_out.len(), workloads.len());
    }
}
