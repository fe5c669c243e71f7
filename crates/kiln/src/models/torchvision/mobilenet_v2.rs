//! MobileNetV2 of torchvision.

use kiln_graph::Shape;

use super::{Builder, Window};
use crate::layers::{Add, Layer, ReLU};
use crate::models::{MOBILENET_V2_STAGES, Top};
use crate::{Model, Node};

/// torchvision's MobileNetV2 of width 1, with dropout of 0.2 before the classes. For `[224, 224, 3]` it has 2,257,984 parameters
/// without a top, 3,538,984 with 1,000 classes, with the statistics of batch normalization.
///
/// Source: `torchvision.models.mobilenet_v2`.
pub fn mobilenet_v2(input_shape: impl Into<Shape>, top: Top) -> Model {
    let mut net = Builder(Model::new(input_shape).with_name("mobilenet_v2"));
    let x = net.0.input();
    let mut x = net.conv_relu6("features.0", 32, Window { size: 3, stride: 2 }, x);
    let (mut channels, mut number) = (32, 1);
    for (filters, blocks, first_stride) in MOBILENET_V2_STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let expansion = if number == 1 { 1 } else { 6 };
            x = net.inverted_residual(&format!("features.{number}"), x, [channels, filters, stride], expansion);
            (channels, number) = (filters, number + 1);
        }
    }
    x = net.conv_relu6(&format!("features.{number}"), 1280, Window { size: 1, stride: 1 }, x);
    net.with_top(x, top)
}

impl Builder {
    /// A block that expands the channels, convolves each by itself and projects them.
    fn inverted_residual(
        &mut self,
        name: &str,
        x: Node,
        [channels, filters, stride]: [usize; 3],
        expansion: usize,
    ) -> Node {
        let one = Window { size: 1, stride: 1 };
        let (mut y, mut number) = (x, 0);
        if expansion != 1 {
            y = self.conv_relu6(&format!("{name}.conv.0"), expansion * channels, one, y);
            number = 1;
        }
        y = self.depthwise(&format!("{name}.conv.{number}.0"), Window { size: 3, stride }, y);
        y = self.normalized(&format!("{name}.conv.{number}.1"), y);
        y = self.relu6(&format!("{name}.conv.{number}.2"), y);
        y = self.conv(&format!("{name}.conv.{}", number + 1), filters, one, y);
        y = self.normalized(&format!("{name}.conv.{}", number + 2), y);
        match stride == 1 && channels == filters {
            true => self.0.apply(Add::default().named(format!("{name}.add")), [x, y]),
            false => y,
        }
    }

    fn conv_relu6(&mut self, name: &str, filters: usize, window: Window, x: Node) -> Node {
        let x = self.conv(&format!("{name}.0"), filters, window, x);
        let x = self.normalized(&format!("{name}.1"), x);
        self.relu6(&format!("{name}.2"), x)
    }

    fn relu6(&mut self, name: &str, x: Node) -> Node {
        self.0.apply(ReLU::new().max_value(6.0).named(name), x)
    }
}
