//! EfficientNetB0 of torchvision.

use kiln_graph::Shape;

use super::{Builder, Window};
use crate::layers::{Activation, Add, Conv2D, Dropout, GlobalAveragePooling2D, Layer, Multiply};
use crate::models::efficientnet_b0::{BLOCKS, DROP_CONNECT_RATE};
use crate::models::{EFFICIENTNET_B0_STAGES, Top};
use crate::{Model, Node};

/// torchvision's EfficientNetB0, which does not rescale its images itself. Blocks are dropped in training as in Keras. For
/// `[224, 224, 3]` it has 4,049,564 parameters without a top, 5,330,564 with 1,000 classes, with the statistics of batch
/// normalization.
///
/// Source: `torchvision.models.efficientnet_b0`.
pub fn efficientnet_b0(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("efficientnet_b0"));
    let x = net.0.input();
    let mut x = net.conv_silu("features.0", 32, Window { size: 3, stride: 2 }, x);
    let (mut channels, mut number) = (32, 0);
    for (stage, (size, filters, blocks, expansion, first_stride)) in EFFICIENTNET_B0_STAGES.into_iter().enumerate() {
        for index in 0..blocks {
            let block = Block {
                name: format!("features.{}.{index}", stage + 1),
                window: Window { size, stride: if index == 0 { first_stride } else { 1 } },
                channels,
                filters,
                expansion,
                drop_rate: DROP_CONNECT_RATE * number as f64 / BLOCKS as f64,
            };
            x = net.mb_conv(&block, x);
            (channels, number) = (filters, number + 1);
        }
    }
    x = net.conv_silu("features.8", 1280, Window { size: 1, stride: 1 }, x);
    net.with_top(x, top)
}

/// The options of a block.
struct Block {
    name: String,
    window: Window,
    channels: usize,
    filters: usize,
    expansion: usize,
    drop_rate: f64,
}

impl Builder {
    fn mb_conv(&mut self, block: &Block, input: Node) -> Node {
        let Block { ref name, window, channels, filters, expansion, drop_rate } = *block;
        let (one, expanded) = (Window { size: 1, stride: 1 }, channels * expansion);
        let (mut x, mut number) = (input, 0);
        if expansion != 1 {
            x = self.conv_silu(&format!("{name}.block.0"), expanded, one, x);
            number = 1;
        }
        x = self.depthwise(&format!("{name}.block.{number}.0"), window, x);
        x = self.normalized(&format!("{name}.block.{number}.1"), x);
        x = self.0.apply(Activation::Swish.named(format!("{name}.block.{number}.2")), x);
        x = self.squeeze_excitation(&format!("{name}.block.{}", number + 1), [channels / 4, expanded], x);
        x = self.conv(&format!("{name}.block.{}.0", number + 2), filters, one, x);
        x = self.normalized(&format!("{name}.block.{}.1", number + 2), x);
        if window.stride == 1 && channels == filters {
            let drop = Dropout::new(drop_rate).noise_shape([None, Some(1), Some(1), Some(1)]);
            x = self.0.apply(drop.named(format!("{name}.stochastic_depth")), x);
            x = self.0.apply(Add::default().named(format!("{name}.add")), [x, input]);
        }
        x
    }

    /// A weight for each channel, computed from the means of all channels.
    fn squeeze_excitation(&mut self, name: &str, [squeezed, channels]: [usize; 2], x: Node) -> Node {
        let means = self.0.apply(GlobalAveragePooling2D::new().keepdims(true).named(format!("{name}.avgpool")), x);
        let reduce = Conv2D::new(squeezed, [1, 1]).activation(Activation::Swish);
        let reduced = self.0.apply(reduce.named(format!("{name}.fc1")), means);
        let expand = Conv2D::new(channels, [1, 1]).activation(Activation::Sigmoid);
        let weights = self.0.apply(expand.named(format!("{name}.fc2")), reduced);
        self.0.apply(Multiply::default().named(format!("{name}.scale")), [x, weights])
    }

    fn conv_silu(&mut self, name: &str, filters: usize, window: Window, x: Node) -> Node {
        let x = self.conv(&format!("{name}.0"), filters, window, x);
        let x = self.normalized(&format!("{name}.1"), x);
        self.0.apply(Activation::Swish.named(format!("{name}.2")), x)
    }
}
