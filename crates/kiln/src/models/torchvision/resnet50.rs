//! ResNet50 of torchvision.

use kiln_graph::Shape;

use super::{Builder, Window};
use crate::layers::{Activation, Add, Dense, GlobalAveragePooling2D, Layer, MaxPooling2D, ZeroPadding2D};
use crate::models::Top;
use crate::{Model, Node};

/// torchvision's ResNet50, also known as ResNet50 v1.5: the stride of a stage is in the 3 x 3 convolution of its first block. Its
/// convolutions have no bias. For `[224, 224, 3]` it has 23,561,152 parameters without a top, 25,610,152 with 1,000 classes, with
/// the statistics of batch normalization.
///
/// Source: `torchvision.models.resnet50`.
pub fn resnet50(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("resnet50"));
    let x = net.0.input();
    let x = net.conv("conv1", 64, Window { size: 7, stride: 2 }, x);
    let x = net.normalized("bn1", x);
    let x = net.0.apply(Activation::Relu.named("relu"), x);
    // Zeros never exceed the values that a ReLU computes.
    let x = net.0.apply(ZeroPadding2D::new(1).named("maxpool.padding"), x);
    let mut x = net.0.apply(MaxPooling2D::new([3, 3]).strides([2, 2]).named("maxpool"), x);
    for (stage, (filters, blocks)) in [(64, 3), (128, 4), (256, 6), (512, 3)].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = net.bottleneck(&format!("layer{}.{block}", stage + 1), x, filters, stride, block == 0);
        }
    }
    let mut model = net.0;
    if let Top::Classes(classes) = top {
        x = model.apply(GlobalAveragePooling2D::new().named("avgpool"), x);
        model.apply(Dense::new(classes).activation(Activation::Softmax).named("fc"), x);
    }
    model
}

impl Builder {
    /// A block of three convolutions with a shortcut, which has a convolution if `downsample` is set.
    fn bottleneck(&mut self, name: &str, x: Node, filters: usize, stride: usize, downsample: bool) -> Node {
        let one = Window { size: 1, stride: 1 };
        let mut y = self.conv(&format!("{name}.conv1"), filters, one, x);
        y = self.normalized(&format!("{name}.bn1"), y);
        y = self.0.apply(Activation::Relu.named(format!("{name}.relu1")), y);
        y = self.conv(&format!("{name}.conv2"), filters, Window { size: 3, stride }, y);
        y = self.normalized(&format!("{name}.bn2"), y);
        y = self.0.apply(Activation::Relu.named(format!("{name}.relu2")), y);
        y = self.conv(&format!("{name}.conv3"), 4 * filters, one, y);
        y = self.normalized(&format!("{name}.bn3"), y);
        let mut shortcut = x;
        if downsample {
            shortcut = self.conv(&format!("{name}.downsample.0"), 4 * filters, Window { size: 1, stride }, x);
            shortcut = self.normalized(&format!("{name}.downsample.1"), shortcut);
        }
        let sum = self.0.apply(Add::default().named(format!("{name}.add")), [y, shortcut]);
        self.0.apply(Activation::Relu.named(format!("{name}.relu3")), sum)
    }
}
