//! Networks as torchvision and timm define them, for weights trained in PyTorch.
//!
//! They differ from those of Keras with the same names: convolutions with a stride are padded on all sides, ResNet50 has the
//! stride of a block in its 3 x 3 convolution, and epsilon of batch normalization is 1e-5. So the same weights compute something
//! else there. Layers have the names of torchvision's modules, and `load_weights` reads torchvision's and timm's files. Images
//! are 224 x 224, preprocessed in mode [`Torch`](crate::data::Preprocessing::Torch); without a top, any size from 32 x 32 is
//! supported.
//!
//! timm's networks whose names begin with `tf_` have Keras' padding under the same names of modules: their weights load into these
//! networks too, but compute something else there.

mod efficientnet_b0;
mod mobilenet_v2;
mod resnet50;

use super::Top;
use crate::layers::{
    Activation, BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Dropout, GlobalAveragePooling2D, Layer,
    ZeroPadding2D,
};
use crate::{Model, Node};

pub use efficientnet_b0::efficientnet_b0;
pub use mobilenet_v2::mobilenet_v2;
pub use resnet50::resnet50;

/// A convolution of `size x size` and its stride.
#[derive(Clone, Copy)]
struct Window {
    size: usize,
    stride: usize,
}

/// A model to which modules of torchvision are added.
struct Builder(Model);

impl Builder {
    /// A convolution without bias.
    fn conv(&mut self, name: &str, filters: usize, window: Window, x: Node) -> Node {
        let x = self.padded(name, window, x);
        let Window { size, stride } = window;
        let conv = Conv2D::new(filters, [size, size]).strides([stride, stride]).use_bias(false);
        self.0.apply(conv.named(name), x)
    }

    /// A convolution of each channel by itself, without bias.
    fn depthwise(&mut self, name: &str, window: Window, x: Node) -> Node {
        let x = self.padded(name, window, x);
        let Window { size, stride } = window;
        let conv = DepthwiseConv2D::new([size, size]).strides([stride, stride]).use_bias(false);
        self.0.apply(conv.named(name), x)
    }

    /// The image with as much padding on all sides as keeps its size at a stride of 1.
    fn padded(&mut self, name: &str, Window { size, .. }: Window, x: Node) -> Node {
        match size / 2 {
            0 => x,
            padding => self.0.apply(ZeroPadding2D::new(padding).named(format!("{name}.padding")), x),
        }
    }

    /// The model with its top: dropout of 0.2 before the classes.
    fn with_top(self, x: Node, top: Top) -> Model {
        let Builder(mut model) = self;
        if let Top::Classes(classes) = top {
            let x = model.apply(GlobalAveragePooling2D::new().named("avgpool"), x);
            let x = model.apply(Dropout::new(0.2).named("classifier.0"), x);
            model.apply(Dense::new(classes).activation(Activation::Softmax).named("classifier.1"), x);
        }
        model
    }

    fn normalized(&mut self, name: &str, x: Node) -> Node {
        self.0.apply(BatchNormalization::new().epsilon(1e-5).momentum(0.9).named(name), x)
    }
}
