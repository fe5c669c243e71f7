//! InceptionV3.

use kiln_graph::Shape;

use super::Top;
use crate::layers::{
    Activation, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense, GlobalAveragePooling2D, Layer,
    MaxPooling2D, Padding,
};
use crate::{Model, Node};

use Padding::{Same, Valid};

/// InceptionV3: eleven blocks of parallel convolutions, `mixed0` to `mixed10`, each convolution without bias, followed
/// by batch normalization without scale and by ReLU; then, with a top, global average pooling and softmax. Layers have
/// the names and the order of Keras' model: 311 layers without a top.
///
/// Keras' images are 299 x 299, preprocessed in mode `tf`; without a top, any size from 75 x 75 is supported. For
/// `[299, 299, 3]` it has 21,802,784 parameters without a top, 23,851,784 with 1,000 classes.
///
/// Source: Szegedy and others, Rethinking the Inception Architecture for Computer Vision (2015).
pub fn inception_v3(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("inception_v3"));
    let x = net.0.input();
    let x = net.conv(x, 32, [3, 3], 2, Valid);
    let x = net.conv(x, 32, [3, 3], 1, Valid);
    let x = net.conv(x, 64, [3, 3], 1, Same);
    let x = net.max_pool(x);
    let x = net.conv(x, 80, [1, 1], 1, Valid);
    let x = net.conv(x, 192, [3, 3], 1, Valid);
    let mut x = net.max_pool(x);
    for (i, pooled) in [32, 64, 64].into_iter().enumerate() {
        x = net.block_of_5x5(x, pooled, i);
    }
    x = net.reduction_to_17(x);
    for (i, filters) in [128, 160, 160, 192].into_iter().enumerate() {
        x = net.block_of_7x7(x, filters, 4 + i);
    }
    x = net.reduction_to_8(x);
    for i in 0..2 {
        x = net.block_of_3x3(x, i);
    }
    let mut model = net.0;
    if let Top::Classes(classes) = top {
        x = model.apply(GlobalAveragePooling2D::new().named("avg_pool"), x);
        model.apply(Dense::new(classes).activation(Activation::Softmax).named("predictions"), x);
    }
    model
}

/// Builds the blocks. Layers are created in the order of Keras, so that they get the same names.
struct Builder(Model);

impl Builder {
    /// 35 x 35, `mixed0` to `mixed2`.
    fn block_of_5x5(&mut self, x: Node, pooled: usize, number: usize) -> Node {
        let a = self.convs(x, &[(64, [1, 1])]);
        let b = self.convs(x, &[(48, [1, 1]), (64, [5, 5])]);
        let c = self.convs(x, &[(64, [1, 1]), (96, [3, 3]), (96, [3, 3])]);
        let d = self.pooled(x, pooled);
        self.join(&[a, b, c, d], Some(format!("mixed{number}")))
    }

    /// 35 x 35 to 17 x 17, `mixed3`.
    fn reduction_to_17(&mut self, x: Node) -> Node {
        let a = self.conv(x, 384, [3, 3], 2, Valid);
        let b = self.convs(x, &[(64, [1, 1]), (96, [3, 3])]);
        let b = self.conv(b, 96, [3, 3], 2, Valid);
        let c = self.max_pool(x);
        self.join(&[a, b, c], Some("mixed3".to_owned()))
    }

    /// 17 x 17, `mixed4` to `mixed7`.
    fn block_of_7x7(&mut self, x: Node, n: usize, number: usize) -> Node {
        let a = self.convs(x, &[(192, [1, 1])]);
        let b = self.convs(x, &[(n, [1, 1]), (n, [1, 7]), (192, [7, 1])]);
        let c = self.convs(x, &[(n, [1, 1]), (n, [7, 1]), (n, [1, 7]), (n, [7, 1]), (192, [1, 7])]);
        let d = self.pooled(x, 192);
        self.join(&[a, b, c, d], Some(format!("mixed{number}")))
    }

    /// 17 x 17 to 8 x 8, `mixed8`.
    fn reduction_to_8(&mut self, x: Node) -> Node {
        let a = self.convs(x, &[(192, [1, 1])]);
        let a = self.conv(a, 320, [3, 3], 2, Valid);
        let b = self.convs(x, &[(192, [1, 1]), (192, [1, 7]), (192, [7, 1])]);
        let b = self.conv(b, 192, [3, 3], 2, Valid);
        let c = self.max_pool(x);
        self.join(&[a, b, c], Some("mixed8".to_owned()))
    }

    /// 8 x 8, `mixed9` and `mixed10`, with nested branches.
    fn block_of_3x3(&mut self, x: Node, i: usize) -> Node {
        let a = self.convs(x, &[(320, [1, 1])]);
        let b = self.convs(x, &[(384, [1, 1])]);
        let b = self.fork(b, Some(format!("mixed9_{i}")));
        let c = self.convs(x, &[(448, [1, 1]), (384, [3, 3])]);
        let c = self.fork(c, None);
        let d = self.pooled(x, 192);
        self.join(&[a, b, c, d], Some(format!("mixed{}", 9 + i)))
    }

    fn fork(&mut self, x: Node, name: Option<String>) -> Node {
        let a = self.convs(x, &[(384, [1, 3])]);
        let b = self.convs(x, &[(384, [3, 1])]);
        self.join(&[a, b], name)
    }

    fn pooled(&mut self, x: Node, filters: usize) -> Node {
        let x = self.0.apply(AveragePooling2D::new([3, 3]).strides([1, 1]).padding(Same), x);
        self.convs(x, &[(filters, [1, 1])])
    }

    fn max_pool(&mut self, x: Node) -> Node {
        self.0.apply(MaxPooling2D::new([3, 3]).strides([2, 2]), x)
    }

    fn convs(&mut self, x: Node, filters_and_sizes: &[(usize, [usize; 2])]) -> Node {
        filters_and_sizes.iter().fold(x, |x, &(filters, size)| self.conv(x, filters, size, 1, Same))
    }

    fn conv(&mut self, x: Node, filters: usize, size: [usize; 2], stride: usize, padding: Padding) -> Node {
        let conv = Conv2D::new(filters, size).strides([stride, stride]).padding(padding).use_bias(false);
        let x = self.0.apply(conv, x);
        let x = self.0.apply(BatchNormalization::new().scale(false), x);
        self.0.apply(Activation::Relu, x)
    }

    fn join(&mut self, parts: &[Node], name: Option<String>) -> Node {
        let layer = Concatenate::new();
        match name {
            Some(name) => self.0.apply(layer.named(name), parts),
            None => self.0.apply(layer, parts),
        }
    }
}
