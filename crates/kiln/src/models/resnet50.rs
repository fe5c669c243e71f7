//! ResNet50.

use kiln_graph::Shape;

use super::Top;
use crate::layers::{
    Activation, Add, BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Layer, MaxPooling2D, Padding,
    ZeroPadding2D,
};
use crate::{Model, Node};

/// ResNet50: a 7 x 7 convolution and pooling, then 16 blocks of three convolutions with batch normalization, ReLU and a
/// shortcut, in four stages; with a top, global average pooling and softmax. The first 1 x 1 convolution of a stage has
/// its stride, as in Keras and in the paper; torchvision's network has it in the 3 x 3 convolution. Layers have the names
/// and the order of Keras' model.
///
/// Keras' images are 224 x 224, preprocessed in mode `caffe`; without a top, any size from 32 x 32 is supported. For
/// `[224, 224, 3]` it has 23,587,712 parameters without a top, 25,636,712 with 1,000 classes.
///
/// Source: He and others, Deep Residual Learning for Image Recognition (2015).
pub fn resnet50(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("resnet50"));
    let x = net.0.input();
    let x = net.0.apply(ZeroPadding2D::new(3).named("conv1_pad"), x);
    let x = net.conv("conv1", Conv2D::new(64, [7, 7]).strides([2, 2]), x);
    let x = net.0.apply(Activation::Relu.named("conv1_relu"), x);
    let x = net.0.apply(ZeroPadding2D::new(1).named("pool1_pad"), x);
    let mut x = net.0.apply(MaxPooling2D::new([3, 3]).strides([2, 2]).named("pool1_pool"), x);
    for (stage, (filters, blocks, stride)) in
        [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)].into_iter().enumerate()
    {
        for block in 1..=blocks {
            let name = format!("conv{}_block{block}", stage + 2);
            x = net.block(&name, x, filters, (block == 1).then_some(stride));
        }
    }
    let mut model = net.0;
    if let Top::Classes(classes) = top {
        x = model.apply(GlobalAveragePooling2D::new().named("avg_pool"), x);
        model.apply(Dense::new(classes).activation(Activation::Softmax).named("predictions"), x);
    }
    model
}

/// Builds the blocks. Layers are created in the order of Keras.
struct Builder(Model);

impl Builder {
    /// A block; the first one of a stage has a stride, and a convolution in its shortcut.
    fn block(&mut self, name: &str, x: Node, filters: usize, first: Option<usize>) -> Node {
        let stride = first.unwrap_or(1);
        let strided = |filters| Conv2D::new(filters, [1, 1]).strides([stride, stride]);
        let shortcut = match first {
            Some(_) => self.conv(&format!("{name}_0"), strided(4 * filters), x),
            None => x,
        };
        let y = self.conv(&format!("{name}_1"), strided(filters), x);
        let y = self.0.apply(Activation::Relu.named(format!("{name}_1_relu")), y);
        let y = self.conv(&format!("{name}_2"), Conv2D::new(filters, [3, 3]).padding(Padding::Same), y);
        let y = self.0.apply(Activation::Relu.named(format!("{name}_2_relu")), y);
        let y = self.conv(&format!("{name}_3"), Conv2D::new(4 * filters, [1, 1]), y);
        let sum = self.0.apply(Add::default().named(format!("{name}_add")), [shortcut, y]);
        self.0.apply(Activation::Relu.named(format!("{name}_out")), sum)
    }

    /// A convolution with batch normalization.
    fn conv(&mut self, name: &str, conv: Conv2D, x: Node) -> Node {
        let x = self.0.apply(conv.named(format!("{name}_conv")), x);
        self.0.apply(BatchNormalization::new().epsilon(1.001e-5).named(format!("{name}_bn")), x)
    }
}
