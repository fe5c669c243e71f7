//! Activation functions as nodes. Those that the operator set lacks are written from their formulas.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

use super::super::proto::AttributeProto;
use super::graph::{Graph, Value};
use super::misfit::Misfit;
use crate::layers::{Activation, ELU, LeakyReLU, ReLU};

/// The constants of SELU in the operator set, those of Klambauer et al. 2017.
pub(in super::super) const SELU: [f32; 2] = [1.673_263_2, 1.050_701];

/// Appends `f(x)`.
pub(super) fn activation(graph: &mut Graph, function: Activation, x: Value) -> Result<Value, Misfit> {
    let float = AttributeProto::float;
    Ok(match function {
        Activation::Linear => x,
        Activation::Softmax => along_channels(graph, "Softmax", &x),
        Activation::LogSoftmax => along_channels(graph, "LogSoftmax", &x),
        Activation::Relu => graph.map("Relu", &x, &[], []),
        Activation::Sigmoid => graph.map("Sigmoid", &x, &[], []),
        Activation::Tanh => graph.map("Tanh", &x, &[], []),
        Activation::Elu | Activation::Celu => graph.map("Elu", &x, &[], [float("alpha", 1.0)]),
        Activation::LeakyRelu => leaky_relu(graph, &x, 0.2),
        Activation::Softplus => graph.map("Softplus", &x, &[], []),
        Activation::Softsign => graph.map("Softsign", &x, &[], []),
        Activation::Selu => {
            let [alpha, gamma] = SELU;
            graph.map("Selu", &x, &[], [float("alpha", alpha), float("gamma", gamma)])
        }
        Activation::Exponential => graph.map("Exp", &x, &[], []),
        Activation::HardSigmoid => hard_sigmoid(graph, &x, 1.0 / 6.0),
        Activation::SparseSigmoid => hard_sigmoid(graph, &x, 0.5),
        Activation::HardSilu => graph.map("HardSwish", &x, &[], []),
        Activation::HardShrink => graph.map("Shrink", &x, &[], [float("lambd", 0.5), float("bias", 0.0)]),
        Activation::SoftShrink => graph.map("Shrink", &x, &[], [float("lambd", 0.5), float("bias", 0.5)]),
        Activation::HardTanh => clip(graph, &x, -1.0, Some(1.0)),
        Activation::Relu6 => clip(graph, &x, 0.0, Some(6.0)),
        Activation::Swish => {
            let gate = graph.map("Sigmoid", &x, &[], []);
            graph.map("Mul", &x, &[&gate.name], [])
        }
        Activation::Mish => {
            let gate = graph.map("Softplus", &x, &[], []);
            let gate = graph.map("Tanh", &gate, &[], []);
            graph.map("Mul", &x, &[&gate.name], [])
        }
        Activation::LogSigmoid => {
            let y = graph.map("Neg", &x, &[], []);
            let y = graph.map("Softplus", &y, &[], []);
            graph.map("Neg", &y, &[], [])
        }
        Activation::TanhShrink => {
            let y = graph.map("Tanh", &x, &[], []);
            graph.map("Sub", &x, &[&y.name], [])
        }
        Activation::Gelu => {
            let y = with_number(graph, "Mul", &x, FRAC_1_SQRT_2 as f32);
            let y = graph.map("Erf", &y, &[], []);
            gelu(graph, &x, &y)
        }
        Activation::GeluTanh => {
            let square = graph.map("Mul", &x, &[&x.name], []);
            let y = with_number(graph, "Mul", &square, 0.044_715);
            let y = with_number(graph, "Add", &y, 1.0);
            let y = graph.map("Mul", &y, &[&x.name], []);
            let y = with_number(graph, "Mul", &y, FRAC_2_PI.sqrt() as f32);
            let y = graph.map("Tanh", &y, &[], []);
            gelu(graph, &x, &y)
        }
        // (clip(x, -1, 1) + 1)² / 4 + max(x - 1, 0)
        Activation::SparsePlus => {
            let low = clip(graph, &x, -1.0, Some(1.0));
            let low = with_number(graph, "Add", &low, 1.0);
            let low = graph.map("Mul", &low, &[&low.name], []);
            let low = with_number(graph, "Mul", &low, 0.25);
            let high = with_number(graph, "Sub", &x, 1.0);
            let high = graph.map("Relu", &high, &[], []);
            graph.map("Add", &low, &[&high.name], [])
        }
        Activation::Squareplus => {
            let y = graph.map("Mul", &x, &[&x.name], []);
            let y = with_number(graph, "Add", &y, 4.0);
            let y = graph.map("Sqrt", &y, &[], []);
            let y = graph.map("Add", &y, &[&x.name], []);
            with_number(graph, "Mul", &y, 0.5)
        }
        Activation::ReLULayer(layer) => relu(graph, &layer, &x),
        Activation::LeakyReLULayer(LeakyReLU { negative_slope }) => leaky_relu(graph, &x, negative_slope as f32),
        Activation::ELULayer(ELU { alpha }) => graph.map("Elu", &x, &[], [float("alpha", alpha as f32)]),
    })
}

/// `min(x, max_value)` for `x > threshold`, else `negative_slope (x - threshold)`.
fn relu(graph: &mut Graph, layer: &ReLU, x: &Value) -> Value {
    let [threshold, slope] = [layer.threshold, layer.negative_slope].map(|value| value as f32);
    let max_value = layer.max_value.map(|value| value as f32);
    if threshold == 0.0 && slope == 0.0 && max_value.is_some() {
        return clip(graph, x, 0.0, max_value);
    }
    let above = match (threshold == 0.0, slope == 0.0) {
        (true, true) => graph.map("Relu", x, &[], []),
        (true, false) => leaky_relu(graph, x, slope),
        (false, _) => graph.map("ThresholdedRelu", x, &[], [AttributeProto::float("alpha", threshold)]),
    };
    let above = max_value.map(|max_value| with_number(graph, "Min", &above, max_value)).unwrap_or(above);
    if threshold == 0.0 || slope == 0.0 {
        return above;
    }
    let below = with_number(graph, "Sub", x, threshold);
    let below = with_number(graph, "Min", &below, 0.0);
    let below = with_number(graph, "Mul", &below, slope);
    graph.map("Add", &above, &[&below.name], [])
}

fn leaky_relu(graph: &mut Graph, x: &Value, slope: f32) -> Value {
    graph.map("LeakyRelu", x, &[], [AttributeProto::float("alpha", slope)])
}

/// `min(max(slope x + 1/2, 0), 1)`
fn hard_sigmoid(graph: &mut Graph, x: &Value, slope: f32) -> Value {
    let attributes = [AttributeProto::float("alpha", slope), AttributeProto::float("beta", 0.5)];
    graph.map("HardSigmoid", x, &[], attributes)
}

fn clip(graph: &mut Graph, x: &Value, low: f32, high: Option<f32>) -> Value {
    let low = graph.number(low);
    let high = high.map(|high| graph.number(high));
    let bounds: Vec<&str> = [low.as_str()].into_iter().chain(high.as_deref()).collect();
    graph.map("Clip", x, &bounds, [])
}

/// `x / 2 (1 + y)`
fn gelu(graph: &mut Graph, x: &Value, y: &Value) -> Value {
    let y = with_number(graph, "Add", y, 1.0);
    let y = graph.map("Mul", x, &[&y.name], []);
    with_number(graph, "Mul", &y, 0.5)
}

/// A function of a value and a number.
pub(super) fn with_number(graph: &mut Graph, op: &str, x: &Value, number: f32) -> Value {
    let number = graph.number(number);
    graph.map(op, x, &[&number], [])
}

pub(super) fn along_channels(graph: &mut Graph, op: &str, x: &Value) -> Value {
    graph.map(op, x, &[], [AttributeProto::int("axis", x.channel_axis())])
}
