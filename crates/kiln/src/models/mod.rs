//! Predefined networks, and backbones for transfer learning.

mod efficientnet_b0;
mod imagenet;
mod inception_v3;
mod mobilenet_v2;
mod resnet50;
pub mod torchvision;
mod vgg16;

use kiln_graph::Shape;

use crate::layers::{Activation, Conv2D, Dense, Dropout, Flatten, Layer, MaxPooling2D, Padding};
use crate::{Model, Node, Sequential};

pub(crate) use efficientnet_b0::STAGES as EFFICIENTNET_B0_STAGES;
pub use efficientnet_b0::efficientnet_b0;
pub use imagenet::{DecodedPrediction, decode_predictions, imagenet_class_names};
pub use inception_v3::inception_v3;
pub(crate) use mobilenet_v2::STAGES as MOBILENET_V2_STAGES;
pub use mobilenet_v2::mobilenet_v2;
pub use resnet50::resnet50;
pub use vgg16::vgg16;

/// The top of a backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Top {
    /// The features of the last convolutional block: Keras' `include_top=False`.
    None,
    /// The classifier layers, ending in softmax over this number of classes.
    Classes(usize),
}

impl Top {
    /// The 1,000 classes of ImageNet.
    pub const IMAGENET: Top = Top::Classes(1000);
}

/// LeNet, as in tutorials: two blocks of 5 x 5 convolution, ReLU and pooling, then a dense layer of 500 and softmax
/// over the classes. For `[28, 28, 1]` and 10 classes it has 1,256,080 parameters.
pub fn lenet(input_shape: impl Into<Shape>, classes: usize) -> Model {
    let mut model = Sequential::new(input_shape).with_name("lenet");
    model
        .add(Conv2D::new(20, [5, 5]).padding(Padding::Same).named("conv1"))
        .add(Activation::Relu.named("relu1"))
        .add(MaxPooling2D::new([2, 2]).named("pool1"))
        .add(Conv2D::new(50, [5, 5]).padding(Padding::Same).named("conv2"))
        .add(Activation::Relu.named("relu2"))
        .add(MaxPooling2D::new([2, 2]).named("pool2"))
        .add(Flatten)
        .add(Dense::new(500).named("fc1"))
        .add(Activation::Relu.named("relu3"))
        .add(Dense::new(classes).named("fc2"))
        .add(Activation::Softmax.named("softmax"));
    model
}

/// The simple network for CIFAR-10: one convolution 3 x 3 with 32 filters, ReLU and pooling, a dense layer of 512 and
/// softmax over the classes, with dropout after the pooling and the dense layer. For `[32, 32, 3]` and 10 classes it
/// has 4,200,842 parameters.
pub fn cifar10_simple(input_shape: impl Into<Shape>, classes: usize) -> Model {
    let mut model = Sequential::new(input_shape).with_name("cifar10_simple");
    model
        .add(relu(Conv2D::new(32, [3, 3]).padding(Padding::Same)).named("conv1"))
        .add(MaxPooling2D::new([2, 2]).named("pool1"))
        .add(Dropout::new(0.25).named("dropout1"))
        .add(Flatten)
        .add(Dense::new(512).activation(Activation::Relu).named("fc1"))
        .add(Dropout::new(0.5).named("dropout2"))
        .add(Dense::new(classes).named("fc2"))
        .add(Activation::Softmax.named("softmax"));
    model
}

/// The deeper network for CIFAR-10, modelled on Keras' example: two blocks of two 3 x 3 convolutions with ReLU and
/// pooling, with 32 and then 64 filters (the last convolution without padding), a dense layer of 512 and softmax over
/// the classes, with dropout after each pooling and the dense layer. For `[32, 32, 3]` and 10 classes it has 1,676,842
/// parameters.
pub fn cifar10_deep(input_shape: impl Into<Shape>, classes: usize) -> Model {
    let mut model = Sequential::new(input_shape).with_name("cifar10_deep");
    model
        .add(relu(Conv2D::new(32, [3, 3]).padding(Padding::Same)).named("conv1"))
        .add(relu(Conv2D::new(32, [3, 3]).padding(Padding::Same)).named("conv2"))
        .add(MaxPooling2D::new([2, 2]).named("pool1"))
        .add(Dropout::new(0.25).named("dropout1"))
        .add(relu(Conv2D::new(64, [3, 3]).padding(Padding::Same)).named("conv3"))
        .add(relu(Conv2D::new(64, [3, 3])).named("conv4"))
        .add(MaxPooling2D::new([2, 2]).named("pool2"))
        .add(Dropout::new(0.25).named("dropout2"))
        .add(Flatten)
        .add(Dense::new(512).activation(Activation::Relu).named("fc1"))
        .add(Dropout::new(0.5).named("dropout3"))
        .add(Dense::new(classes).named("fc2"))
        .add(Activation::Softmax.named("softmax"));
    model
}

fn relu(layer: Conv2D) -> Conv2D {
    layer.activation(Activation::Relu)
}

/// The padding before a convolution of `size x size` with a stride of 2 and without padding of its own: Keras' `correct_pad`.
fn padding_of_stride_2(model: &Model, x: Node, size: usize) -> [[usize; 2]; 2] {
    let [height, width, _] = model.network().shape(x).and_then(|shape| shape.dims()).unwrap_or_default();
    [height, width].map(|extent| [(size / 2 + extent % 2).saturating_sub(1), size / 2])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    type Build = fn([usize; 3], Top) -> Model;

    /// The layers of Keras 3.15 without a top: `index name class shape …`, and each layer's inputs after an arrow.
    const KERAS: [(Build, usize, &str); 4] = [
        (efficientnet_b0, 224, include_str!("efficientnet_b0_layers.txt")),
        (inception_v3, 299, include_str!("inception_v3_layers.txt")),
        (mobilenet_v2, 224, include_str!("mobilenet_v2_layers.txt")),
        (resnet50, 224, include_str!("resnet50_layers.txt")),
    ];

    #[test]
    fn layers_have_keras_order_names_shapes_and_inputs() {
        for (build, side, keras) in KERAS {
            let mut model = build([side, side, 3], Top::None);
            let inputs: Vec<Vec<String>> =
                model.network().ordered().iter().map(|node| inputs_of(&model, *node)).collect();
            let layers = model.layers(..).unwrap();
            assert_eq!(layers.iter().len(), keras.lines().count());
            for ((layer, inputs), line) in layers.iter().zip(inputs).zip(keras.lines()) {
                let shape: Vec<String> = layer.output_shape.unwrap().iter().map(usize::to_string).collect();
                let shape = shape.join(", ");
                let expected = format!("{} {} {} ({shape}) ", layer.index, layer.name, layer.class_name);
                assert!(line.starts_with(&expected), "{expected} | {line}");
                assert_eq!(line.split_once("<- ").unwrap().1, inputs.join(","), "{line}");
            }
        }
    }

    fn inputs_of(model: &Model, node: Node) -> Vec<String> {
        let network = model.network();
        let inputs = node.layer().map(|index| &network.layers[index].inputs[..]).unwrap_or_default();
        inputs.iter().map(|&input| network.name_of(input).to_owned()).collect()
    }

    #[test]
    fn networks_have_the_parameters_that_their_documentation_states() {
        let cifar = [32, 32, 3];
        let [vgg, inception] = [[224, 224, 3], [299, 299, 3]];
        let networks: [(Model, usize); 19] = [
            (lenet([28, 28, 1], 10), 1_256_080),
            (cifar10_simple(cifar, 10), 4_200_842),
            (cifar10_deep(cifar, 10), 1_676_842),
            (vgg16(vgg, Top::None), 14_714_688),
            (vgg16(vgg, Top::IMAGENET), 138_357_544),
            (inception_v3(inception, Top::None), 21_802_784),
            (inception_v3(inception, Top::IMAGENET), 23_851_784),
            (resnet50(vgg, Top::None), 23_587_712),
            (resnet50(vgg, Top::IMAGENET), 25_636_712),
            (mobilenet_v2(vgg, Top::None), 2_257_984),
            (mobilenet_v2(vgg, Top::IMAGENET), 3_538_984),
            (torchvision::resnet50(vgg, Top::None), 23_561_152),
            (torchvision::resnet50(vgg, Top::IMAGENET), 25_610_152),
            (torchvision::mobilenet_v2(vgg, Top::None), 2_257_984),
            (torchvision::mobilenet_v2(vgg, Top::IMAGENET), 3_538_984),
            (torchvision::efficientnet_b0(vgg, Top::None), 4_049_564),
            (torchvision::efficientnet_b0(vgg, Top::IMAGENET), 5_330_564),
            (efficientnet_b0(vgg, Top::None), 4_049_571),
            (efficientnet_b0(vgg, Top::IMAGENET), 5_330_571),
        ];
        for (model, parameters) in networks {
            model.output_shape().unwrap();
            assert_eq!(model.summary().parameters(), parameters, "{}", model.name());
        }
    }
}
