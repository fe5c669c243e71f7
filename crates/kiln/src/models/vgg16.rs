//! VGG16.

use kiln_graph::Shape;

use super::{Top, relu};
use crate::Model;
use crate::layers::{Activation, Conv2D, Dense, Flatten, Layer, MaxPooling2D, Padding};

/// VGG16: thirteen 3 x 3 convolutions with ReLU in five blocks, each ending in pooling; then two dense layers of 4,096
/// and softmax. Layers are named as in Keras (`block4_pool`, `fc1`, `predictions`).
///
/// Keras' images are 224 x 224, preprocessed in mode `caffe`; without a top, any size from 32 x 32 is supported. For
/// `[224, 224, 3]` and 1,000 classes it has 138,357,544 parameters, without a top 14,714,688.
///
/// Source: Simonyan and Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition (2014).
pub fn vgg16(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut model = Model::new(input_shape).with_name("vgg16");
    let mut x = model.input();
    for (block, (convolutions, filters)) in [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)].into_iter().enumerate() {
        let block = block + 1;
        for i in 1..=convolutions {
            let convolution = relu(Conv2D::new(filters, [3, 3]).padding(Padding::Same));
            x = model.apply(convolution.named(format!("block{block}_conv{i}")), x);
        }
        x = model.apply(MaxPooling2D::new([2, 2]).named(format!("block{block}_pool")), x);
    }
    if let Top::Classes(classes) = top {
        x = model.apply(Flatten.named("flatten"), x);
        for name in ["fc1", "fc2"] {
            x = model.apply(Dense::new(4096).activation(Activation::Relu).named(name), x);
        }
        model.apply(Dense::new(classes).activation(Activation::Softmax).named("predictions"), x);
    }
    model
}
