//! EfficientNetB0.

use kiln_graph::Shape;

use super::{Top, padding_of_stride_2};
use crate::layers::{
    Activation, Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Distribution, Dropout, FanMode,
    GlobalAveragePooling2D, Initializer, Layer, Multiply, Normalization, Padding, Rescaling, Reshape, ZeroPadding2D,
};
use crate::{Model, Node};

/// The kernel size, the filters, the number of blocks, the expansion and the first stride of the stages.
pub(crate) const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (3, 16, 1, 1, 1),
    (3, 24, 2, 6, 2),
    (5, 40, 2, 6, 2),
    (3, 80, 3, 6, 2),
    (5, 112, 3, 6, 1),
    (5, 192, 4, 6, 2),
    (3, 320, 1, 6, 1),
];
/// The blocks of all stages.
pub(super) const BLOCKS: usize = 16;
/// The share of the images for which the last block is dropped in training; that of earlier blocks rises linearly.
pub(super) const DROP_CONNECT_RATE: f64 = 0.2;

/// EfficientNetB0: a 3 x 3 convolution, 16 blocks that expand the channels, convolve each by itself, weight them by squeeze and
/// excitation and project them to few again, with batch normalization, Swish, shortcuts and dropped blocks, then a 1 x 1
/// convolution; with a top, global average pooling, dropout and softmax. Layers have the names and the order of the model that
/// Keras builds for its weights of ImageNet; without them, Keras leaves out `rescaling_1`.
///
/// The images are those of [`load_img`](crate::data::load_img), 0 to 255: the network rescales them. Keras' are 224 x 224;
/// without a top, any size from 32 x 32 is supported. For `[224, 224, 3]` it has 4,049,571 parameters without a top, 5,330,571
/// with 1,000 classes.
///
/// Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (2019).
pub fn efficientnet_b0(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("efficientnetb0"));
    let x = net.0.input();
    let x = net.0.apply(Rescaling::new(1.0 / 255.0), x);
    let x = net.0.apply(Normalization::new(), x);
    // The network was trained on images divided by the variance, of which `Normalization` takes the square root.
    let x = net.0.apply(Rescaling::new([0.229, 0.224, 0.225].map(|deviation: f64| 1.0 / deviation.sqrt())), x);
    let padding = padding_of_stride_2(&net.0, x, 3);
    let x = net.0.apply(ZeroPadding2D::new(padding).named("stem_conv_pad"), x);
    let x = net.0.apply(conv(32, 3).strides([2, 2]).padding(Padding::Valid).named("stem_conv"), x);
    let mut x = net.activated("stem_bn", "stem_activation", x);
    let (mut channels, mut number) = (32, 0);
    for (stage, (size, filters, blocks, expansion, first_stride)) in STAGES.into_iter().enumerate() {
        for letter in ('a'..).take(blocks) {
            let block = Block {
                name: format!("block{}{letter}_", stage + 1),
                size,
                filters,
                expansion,
                stride: if letter == 'a' { first_stride } else { 1 },
                drop_rate: DROP_CONNECT_RATE * number as f64 / BLOCKS as f64,
            };
            x = net.block(&block, x, channels);
            (channels, number) = (filters, number + 1);
        }
    }
    x = net.0.apply(conv(1280, 1).named("top_conv"), x);
    x = net.activated("top_bn", "top_activation", x);
    let mut model = net.0;
    if let Top::Classes(classes) = top {
        x = model.apply(GlobalAveragePooling2D::new().named("avg_pool"), x);
        x = model.apply(Dropout::new(0.2).named("top_dropout"), x);
        let third = Initializer::variance_scaling(1.0 / 3.0, FanMode::FanOut, Distribution::Uniform);
        let dense = Dense::new(classes).activation(Activation::Softmax).kernel_initializer(third);
        model.apply(dense.named("predictions"), x);
    }
    model
}

/// The options of a block.
struct Block {
    /// The prefix of its layers' names.
    name: String,
    size: usize,
    filters: usize,
    expansion: usize,
    stride: usize,
    drop_rate: f64,
}

/// Builds the blocks. Layers are created in the order of Keras.
struct Builder(Model);

impl Builder {
    fn block(&mut self, block: &Block, input: Node, channels: usize) -> Node {
        let Block { size, filters, expansion, stride, drop_rate, .. } = *block;
        let named = |part: &str| format!("{}{part}", block.name);
        let expanded = channels * expansion;
        let mut x = input;
        if expansion != 1 {
            x = self.0.apply(conv(expanded, 1).named(named("expand_conv")), x);
            x = self.activated(&named("expand_bn"), &named("expand_activation"), x);
        }
        let mut depthwise = DepthwiseConv2D::new([size, size]).strides([stride, stride]).use_bias(false);
        if stride == 1 {
            depthwise = depthwise.padding(Padding::Same);
        } else {
            let padding = padding_of_stride_2(&self.0, x, size);
            x = self.0.apply(ZeroPadding2D::new(padding).named(named("dwconv_pad")), x);
        }
        x = self.0.apply(depthwise.depthwise_initializer(initializer()).named(named("dwconv")), x);
        x = self.activated(&named("bn"), &named("activation"), x);
        // Squeeze and excitation: a weight for each channel.
        let squeezed = self.0.apply(GlobalAveragePooling2D::new().named(named("se_squeeze")), x);
        let squeezed = self.0.apply(Reshape::new([1, 1, expanded as i64]).named(named("se_reshape")), squeezed);
        let reduce = conv(channels / 4, 1).use_bias(true).activation(Activation::Swish);
        let reduced = self.0.apply(reduce.named(named("se_reduce")), squeezed);
        let expand = conv(expanded, 1).use_bias(true).activation(Activation::Sigmoid);
        let weights = self.0.apply(expand.named(named("se_expand")), reduced);
        x = self.0.apply(Multiply::default().named(named("se_excite")), [x, weights]);
        x = self.0.apply(conv(filters, 1).named(named("project_conv")), x);
        x = self.0.apply(BatchNormalization::new().named(named("project_bn")), x);
        if stride == 1 && channels == filters {
            let drop = Dropout::new(drop_rate).noise_shape([None, Some(1), Some(1), Some(1)]);
            x = self.0.apply(drop.named(named("drop")), x);
            x = self.0.apply(Add::default().named(named("add")), [x, input]);
        }
        x
    }

    /// Batch normalization and Swish.
    fn activated(&mut self, normalization: &str, activation: &str, x: Node) -> Node {
        let x = self.0.apply(BatchNormalization::new().named(normalization), x);
        self.0.apply(Activation::Swish.named(activation), x)
    }
}

fn initializer() -> Initializer {
    Initializer::variance_scaling(2.0, FanMode::FanOut, Distribution::TruncatedNormal)
}

/// A convolution of this many filters of `size x size` without bias.
fn conv(filters: usize, size: usize) -> Conv2D {
    Conv2D::new(filters, [size, size]).padding(Padding::Same).use_bias(false).kernel_initializer(initializer())
}
