//! Networks that are ready to be trained.

use kiln_graph::Shape;

use crate::Sequential;
use crate::layers::{Activation, ActivationFunction, Conv2D, Dense, Flatten, Function, Layer, MaxPooling2D, Padding};

/// LeNet, as tutorials draw it: two times convolution 5 x 5, ReLU and pooling, then a dense layer of 500 and softmax
/// over the classes. For `[28, 28, 1]` and 10 classes it has 1,256,080 parameters.
pub fn lenet(input_shape: impl Into<Shape>, classes: usize) -> Sequential {
    let mut model = Sequential::new(input_shape).with_name("lenet");
    model
        .add(Conv2D::new(20, [5, 5]).padding(Padding::Same).named("conv1"))
        .add(Activation::new(Function::Relu).named("relu1"))
        .add(MaxPooling2D::new([2, 2]).named("pool1"))
        .add(Conv2D::new(50, [5, 5]).padding(Padding::Same).named("conv2"))
        .add(Activation::new(Function::Relu).named("relu2"))
        .add(MaxPooling2D::new([2, 2]).named("pool2"))
        .add(Flatten)
        .add(Dense::new(500).named("fc1"))
        .add(Activation::new(Function::Relu).named("relu3"))
        .add(Dense::new(classes).named("fc2"))
        .add(Activation::new(ActivationFunction::Softmax).named("softmax"));
    model
}
