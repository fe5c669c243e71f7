//! Normalizations, and factors and offsets of each place.

use super::super::proto::AttributeProto;
use super::activations::with_number;
use super::graph::{Axes, Graph, Value};
use super::misfit::Misfit;
use crate::layers::{
    BatchNormalization, GroupNormalization, LayerNormalization, LayerScale, Normalization, PReLU, PerChannel, Rescaling,
};
use crate::weights::Weight;

/// The smallest standard deviation of Keras' `Normalization`.
const SMALLEST_DEVIATION: f32 = 1e-7;

/// The variable of this name.
fn find<'a>(weights: &'a [Weight], name: &str) -> Option<&'a Weight> {
    weights.iter().find(|weight| weight.name.rsplit('/').next() == Some(name))
}

/// Values with the extents of a sample in Kiln's order, or 1, in the order of a value's axes.
fn placed(x: &Value, extents: &[usize], values: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let dims = x.ordered(extents);
    match (x.axes, extents.last()) {
        (Axes::ChannelsFirst, Some(&channels)) => {
            let of_channel = |channel: usize| values.iter().skip(channel).step_by(channels).copied();
            (dims, (0..channels).flat_map(of_channel).collect())
        }
        _ => (dims, values.to_vec()),
    }
}

/// Extents of a sample that are 1 but for the channels.
fn of_channels(x: &Value) -> Vec<usize> {
    let mut extents = vec![1; x.sample.len()];
    if let Some(last) = extents.last_mut() {
        *last = x.channels();
    }
    extents
}

pub(super) fn batch_normalization(
    graph: &mut Graph,
    layer: &BatchNormalization,
    weights: &[Weight],
    x: &Value,
) -> Value {
    let x = graph.channels_first(x);
    let channels = x.channels();
    let mut input = |name: &str, default: f32| match find(weights, name) {
        Some(weight) => graph.weight(&weight.name, &[channels], &weight.values),
        None => graph.constant(name, &[channels], &vec![default; channels]),
    };
    let inputs = [("gamma", 1.0), ("beta", 0.0), ("moving_mean", 0.0), ("moving_variance", 1.0)];
    let inputs = inputs.map(|(name, default)| input(name, default));
    let attributes = [
        AttributeProto::float("epsilon", layer.epsilon as f32),
        AttributeProto::float("momentum", layer.momentum as f32),
    ];
    graph.map("BatchNormalization", &x, &inputs.each_ref().map(String::as_str), attributes)
}

pub(super) fn layer_normalization(
    graph: &mut Graph,
    layer: &LayerNormalization,
    weights: &[Weight],
    x: &Value,
) -> Value {
    let x = graph.channels_last(x);
    let rank = x.sample.len();
    let place = |&axis: &i64| if axis < 0 { (axis + rank as i64) as usize } else { axis as usize - 1 };
    let mut places: Vec<usize> = layer.axis.iter().map(place).collect();
    places.sort_unstable();
    // The axes are the last ones, as the operator expects.
    let others = (0..rank).filter(|place| !places.contains(place));
    let order: Vec<usize> = others.chain(places.iter().copied()).collect();
    let is_last = order.iter().copied().eq(0..rank);
    let transposed = |graph: &mut Graph, name: &str, order: &[usize]| {
        let perm = [0].into_iter().chain(order.iter().map(|place| place + 1));
        graph.node("Transpose", &[name], [AttributeProto::ints("perm", perm)])
    };
    let name = if is_last { x.name.clone() } else { transposed(graph, &x.name, &order) };
    let dims: Vec<usize> = places.iter().map(|&place| x.sample[place]).collect();
    let width = dims.iter().product();
    let gamma = match find(weights, "gamma") {
        Some(gamma) => graph.weight(&gamma.name, &dims, &gamma.values),
        None => graph.constant("gamma", &dims, &vec![1.0; width]),
    };
    let beta = find(weights, "beta").map(|beta| graph.weight(&beta.name, &dims, &beta.values));
    let attributes =
        [AttributeProto::int("axis", -(places.len() as i64)), AttributeProto::float("epsilon", layer.epsilon as f32)];
    let inputs: Vec<&str> = [&*name, &*gamma].into_iter().chain(beta.as_deref()).collect();
    let name = graph.node("LayerNormalization", &inputs, attributes);
    let back: Vec<usize> = (0..rank).filter_map(|axis| order.iter().position(|&place| place == axis)).collect();
    let name = if is_last { name } else { transposed(graph, &name, &back) };
    Value { name, ..x }
}

/// Instances of groups are normalized, then scaled: the operator of groups has changed its meaning between versions.
pub(super) fn group_normalization(
    graph: &mut Graph,
    layer: &GroupNormalization,
    weights: &[Weight],
    x: &Value,
) -> Value {
    let x = graph.channels_first(x);
    let groups = usize::try_from(layer.groups).unwrap_or(x.channels());
    let width = x.sample.iter().product::<usize>() / groups.max(1);
    let grouped = graph.reshape(&x.name, &[groups, width]);
    let one = graph.constant("ones", &[groups], &vec![1.0; groups]);
    let zero = graph.constant("zeros", &[groups], &vec![0.0; groups]);
    let epsilon = AttributeProto::float("epsilon", layer.epsilon as f32);
    let normalized = graph.node("InstanceNormalization", &[&grouped, &one, &zero], [epsilon]);
    let mut y = Value { name: graph.reshape(&normalized, &x.extents()), ..x };
    for (op, name) in [("Mul", "gamma"), ("Add", "beta")] {
        if let Some(weight) = find(weights, name) {
            y = with_weight(graph, op, &y, weight, &of_channels(&y));
        }
    }
    y
}

/// A function of a value and a variable with these extents.
fn with_weight(graph: &mut Graph, op: &str, x: &Value, weight: &Weight, extents: &[usize]) -> Value {
    let (dims, values) = placed(x, extents, &weight.values);
    let name = if x.axes == Axes::ChannelsFirst { weight.name.clone() } else { format!("{}/last", weight.name) };
    let name = graph.weight(&name, &dims, &values);
    graph.map(op, x, &[&name], [])
}

fn with_constant(graph: &mut Graph, op: &str, x: &Value, name: &str, extents: &[usize], values: &[f32]) -> Value {
    let (dims, values) = placed(x, extents, values);
    let name = graph.constant(name, &dims, &values);
    graph.map(op, x, &[&name], [])
}

pub(super) fn layer_scale(graph: &mut Graph, _: &LayerScale, weights: &[Weight], x: &Value) -> Value {
    with_weight(graph, "Mul", x, &weights[0], &of_channels(x))
}

pub(super) fn prelu(graph: &mut Graph, _: &PReLU, weights: &[Weight], x: &Value) -> Value {
    with_weight(graph, "PRelu", x, &weights[0], &weights[0].shape)
}

pub(super) fn rescaling(graph: &mut Graph, layer: &Rescaling, x: &Value) -> Value {
    let mut y = x.clone();
    for (op, name, numbers, neutral) in [("Mul", "scale", &layer.scale, 1.0), ("Add", "offset", &layer.offset, 0.0)] {
        y = match numbers {
            PerChannel::All(number) if *number == neutral => y,
            PerChannel::All(number) => with_number(graph, op, &y, *number as f32),
            PerChannel::Channels(numbers) if numbers.len() == 1 => with_number(graph, op, &y, numbers[0] as f32),
            PerChannel::Channels(numbers) => {
                let values: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
                with_constant(graph, op, &y, name, &of_channels(&y), &values)
            }
        };
    }
    y
}

pub(super) fn normalization(
    graph: &mut Graph,
    layer: &Normalization,
    weights: &[Weight],
    x: &Value,
) -> Result<Value, Misfit> {
    let rank = x.sample.len();
    let mut extents = vec![1; rank];
    for &axis in &layer.axis {
        let place = if axis < 0 { (axis + rank as i64) as usize } else { axis as usize - 1 };
        extents[place] = x.sample[place];
    }
    let width = extents.iter().product();
    let numbers = |argument: &Option<PerChannel>, name: &'static str| match (argument, find(weights, name)) {
        (Some(PerChannel::All(number)), _) => Ok(vec![*number as f32; width]),
        (Some(PerChannel::Channels(numbers)), _) => {
            Ok(numbers.iter().map(|&number| number as f32).cycle().take(width).collect())
        }
        (None, Some(weight)) => Ok(weight.values.clone()),
        (None, None) => Err(Misfit::argument(name, "numbers or a variable", "none")),
    };
    let mean = numbers(&layer.mean, "mean")?;
    let deviation = numbers(&layer.variance, "variance")?;
    let deviation: Vec<f32> = deviation.iter().map(|variance| variance.sqrt().max(SMALLEST_DEVIATION)).collect();
    Ok(if layer.invert {
        let y = with_constant(graph, "Mul", x, "deviation", &extents, &deviation);
        with_constant(graph, "Add", &y, "mean", &extents, &mean)
    } else {
        let y = with_constant(graph, "Sub", x, "mean", &extents, &mean);
        with_constant(graph, "Div", &y, "deviation", &extents, &deviation)
    })
}
