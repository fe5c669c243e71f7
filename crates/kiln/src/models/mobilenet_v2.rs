//! MobileNetV2.

use kiln_graph::Shape;

use super::{Top, padding_of_stride_2};
use crate::layers::{
    Activation, Add, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, GlobalAveragePooling2D, Layer, Padding, ReLU,
    ZeroPadding2D,
};
use crate::{Model, Node};

/// The filters, the number of blocks and the first stride of the stages; their blocks expand channels by 6, that of the first
/// stage by 1.
pub(crate) const STAGES: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)];

/// MobileNetV2 of width 1: a 3 x 3 convolution, 17 blocks that expand the channels, convolve each by itself and project them
/// to few again, with batch normalization, ReLU6 and shortcuts, then a 1 x 1 convolution; with a top, global average pooling
/// and softmax. Layers have the names and the order of Keras' model.
///
/// Keras' images are 224 x 224, preprocessed in mode `tf`; without a top, any size from 32 x 32 is supported. For
/// `[224, 224, 3]` it has 2,257,984 parameters without a top, 3,538,984 with 1,000 classes.
///
/// Source: Sandler and others, MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018).
pub fn mobilenet_v2(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("mobilenet_v2"));
    let x = net.0.input();
    let conv = Conv2D::new(32, [3, 3]).strides([2, 2]).padding(Padding::Same).use_bias(false);
    let x = net.0.apply(conv.named("Conv1"), x);
    let x = net.normalized("bn_Conv1", x);
    let mut x = net.relu6("Conv1_relu", x);
    let (mut channels, mut number) = (32, 0);
    for (filters, blocks, first_stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            x = net.block(number, x, [channels, filters], stride);
            (channels, number) = (filters, number + 1);
        }
    }
    x = net.0.apply(Conv2D::new(1280, [1, 1]).use_bias(false).named("Conv_1"), x);
    x = net.normalized("Conv_1_bn", x);
    x = net.relu6("out_relu", x);
    let mut model = net.0;
    if let Top::Classes(classes) = top {
        x = model.apply(GlobalAveragePooling2D::new(), x);
        model.apply(Dense::new(classes).activation(Activation::Softmax).named("predictions"), x);
    }
    model
}

/// Builds the blocks. Layers are created in the order of Keras.
struct Builder(Model);

impl Builder {
    fn block(&mut self, number: usize, input: Node, [channels, filters]: [usize; 2], stride: usize) -> Node {
        let prefix = if number == 0 { "expanded_conv_".to_owned() } else { format!("block_{number}_") };
        let named = |part: &str| format!("{prefix}{part}");
        let mut x = input;
        if number > 0 {
            let expand = Conv2D::new(6 * channels, [1, 1]).padding(Padding::Same).use_bias(false);
            x = self.0.apply(expand.named(named("expand")), x);
            x = self.normalized(&named("expand_BN"), x);
            x = self.relu6(&named("expand_relu"), x);
        }
        let mut depthwise = DepthwiseConv2D::new([3, 3]).strides([stride, stride]).use_bias(false);
        if stride == 1 {
            depthwise = depthwise.padding(Padding::Same);
        } else {
            let padding = padding_of_stride_2(&self.0, x, 3);
            x = self.0.apply(ZeroPadding2D::new(padding).named(named("pad")), x);
        }
        x = self.0.apply(depthwise.named(named("depthwise")), x);
        x = self.normalized(&named("depthwise_BN"), x);
        x = self.relu6(&named("depthwise_relu"), x);
        let project = Conv2D::new(filters, [1, 1]).padding(Padding::Same).use_bias(false);
        x = self.0.apply(project.named(named("project")), x);
        x = self.normalized(&named("project_BN"), x);
        if channels == filters && stride == 1 {
            x = self.0.apply(Add::default().named(named("add")), [input, x]);
        }
        x
    }

    fn normalized(&mut self, name: &str, x: Node) -> Node {
        self.0.apply(BatchNormalization::new().momentum(0.999).named(name), x)
    }

    fn relu6(&mut self, name: &str, x: Node) -> Node {
        self.0.apply(ReLU::new().max_value(6.0).named(name), x)
    }
}
