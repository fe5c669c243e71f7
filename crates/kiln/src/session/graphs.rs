//! What a model computes for one batch, as graphs: a training step, an evaluation, a prediction.

use std::sync::Arc;

use kiln_graph::{DType, Graph, Tensor, TensorType};
use kiln_ops::{ClipByNorm, ClipByValue, Copy, Ema, Gather, Multiply, Record, ScaleAdd, Sum, WeightDecay, gradients};

use super::layout::{Layout, TRAINABLE};
use super::resident::DataType;
use super::{METRICS_ROWS, Mode, Role, penalties};
use crate::augmentation::{Augmentation, Source, append};
use crate::compile::{AVERAGE, Compile};
use crate::network::{Network, Node};
use crate::optimizers::ParameterGroup;
use crate::{Error, Result, losses};

/// The buffer with a row per step: the sum of the losses, and of each metric.
pub(super) const METRICS: &str = "metrics";
/// The buffer with what the model gives for a batch.
pub(super) const PREDICTIONS: &str = "predictions";

/// The flat buffer of the gradients.
pub(super) const GRADIENTS: &str = "gradients";

/// The buffer of what an optimizer keeps under this name.
pub(super) fn slot_buffer(slot: &str) -> String {
    format!("optimizer.{slot}")
}

/// What a graph is made for.
pub(super) struct Batch<'a> {
    pub network: &'a Network,
    pub layout: &'a Layout,
    /// The node that gives the samples.
    pub entry: Node,
    pub data: &'a DataType,
    /// What changes the samples at random.
    pub augmentation: Option<&'a Augmentation>,
    pub role: Role,
    pub mode: Mode,
    /// How many samples it has.
    pub size: usize,
}

/// A batch on its way through a network.
struct Forward {
    variables: Vec<Tensor>,
    output: Tensor,
    labels: Option<Tensor>,
    /// What the loss of each sample counts.
    weights: Option<Tensor>,
}

fn forward(graph: &mut Graph, batch: &Batch<'_>) -> Result<Forward> {
    let Batch { network, layout, entry, data, augmentation, role, mode, size } = *batch;
    graph.scope("gather");
    let mut persistent = |part: &str, ty: &TensorType| {
        let buffer = graph.buffer(&role.buffer(part));
        graph.persistent(ty.clone(), buffer, 0)
    };
    let x = persistent("x", &data.x);
    let y = data.y.as_ref().map(|y| persistent("y", y));
    let weights = data.is_weighted.then(|| persistent("weights", &TensorType::f32([data.capacity()])));
    let order = persistent("order", &TensorType::new([data.capacity()], DType::U32));
    let gather = Gather { scale: 1.0, offset: 0.0, batch: size };
    let mut gathered = |tensor: Option<Tensor>| tensor.map(|tensor| graph.add(gather, &[tensor, order])).transpose();
    let (labels, weights) = (gathered(y)?, gathered(weights)?);
    let &DataType { scale, offset, ref standardization, .. } = data;
    let x = append(graph, &Source { x, order, size, scale, offset, augmentation, standardization, role })?;
    let variables = layout.tensors(network, graph);
    let output = network.call(graph, (entry, x), &variables, matches!(mode, Mode::Train | Mode::Gradients))?;
    Ok(Forward { variables, output, labels, weights })
}

/// Appends the loss of each sample and the record of the batch's metrics; gives the losses.
fn measured(graph: &mut Graph, network: &Network, compiled: &Compile, forward: &Forward) -> Result<Tensor> {
    let Forward { output, labels, weights, ref variables } = *forward;
    let labels = labels.ok_or_else(|| Error::unlabelled(&network.name))?;
    let scored = losses::append(&*compiled.loss, graph, &network.name, [output, labels])?;
    let losses = match weights {
        Some(weights) => graph.add(Multiply, &[scored.losses, weights])?,
        None => scored.losses,
    };
    let losses = penalties::added(graph, network, variables, losses)?;
    let figures = compiled.append_metrics(graph, &scored, [output, labels])?;
    let figures: Vec<Tensor> = std::iter::once(losses).chain(figures).collect();
    let buffer = graph.buffer(METRICS);
    let columns = figures.len();
    let metrics = graph.persistent(TensorType::f32([METRICS_ROWS, columns]), buffer, 0);
    for (i, figures) in figures.chunks(Record::MOST).enumerate() {
        let record = Record { rows: METRICS_ROWS, columns, first: i * Record::MOST };
        graph.update(Arc::new(record), figures, &[metrics])?;
    }
    Ok(losses)
}

/// Forward and backward, up to the gradients in their flat buffer.
pub(super) fn gradient(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    let mut graph = Graph::new();
    backward(&mut graph, batch, compiled)?;
    Ok(graph)
}

/// Appends forward and backward, and returns the variables that have a gradient.
fn backward(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile) -> Result<Vec<usize>> {
    let forward = forward(graph, batch)?;
    let losses = measured(graph, batch.network, compiled, &forward)?;
    let trained = |variable: &usize| batch.layout.offset(*variable).is_some();
    let trained: Vec<usize> = (0..forward.variables.len()).filter(trained).collect();
    if trained.is_empty() {
        return Ok(trained);
    }
    graph.scope("loss");
    let loss = graph.add(Sum { scale: 1.0 / batch.size as f32 }, &[losses])?;
    let parameters: Vec<Tensor> = trained.iter().map(|&variable| forward.variables[variable]).collect();
    let found = gradients(graph, loss, &parameters)?;
    let with_gradient =
        trained.iter().copied().zip(&found).filter_map(|(variable, gradient)| gradient.map(|_| variable));
    let with_gradient: Vec<usize> = with_gradient.collect();
    for (variable, gradient) in trained.into_iter().zip(found) {
        place_gradient(graph, batch, variable, gradient)?;
    }
    Ok(with_gradient)
}

/// Forward, backward and optimizer.
pub(super) fn training(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    let mut graph = Graph::new();
    let with_gradient = backward(&mut graph, batch, compiled)?;
    if batch.layout.trainable_len() == 0 {
        return Ok(graph);
    }
    clip(&mut graph, batch, compiled)?;
    let copied = copied(&mut graph, batch)?;
    decay(&mut graph, batch, compiled, &with_gradient)?;

    graph.scope(compiled.optimizer.name());
    let mut flat = |name: &str| {
        let buffer = graph.buffer(name);
        graph.persistent(TensorType::f32([batch.layout.trainable_len()]), buffer, 0)
    };
    let flat_gradients = flat(GRADIENTS);
    let mut rewritten = vec![flat(TRAINABLE)];
    rewritten.extend(compiled.optimizer.slots().iter().map(|slot| flat(&slot_buffer(slot.name))));
    let averaged = compiled.use_ema.then(|| [rewritten[0], flat(&slot_buffer(AVERAGE))]);
    graph.update(compiled.optimizer.op(), &[flat_gradients], &rewritten)?;
    apply_factors(&mut graph, copied)?;
    if let Some(averaged) = averaged {
        graph.scope("ema");
        let overwrite_frequency = compiled.ema_overwrite_frequency.unwrap_or(0);
        let (momentum, count) = (compiled.ema_momentum as f32, batch.layout.trainable_len());
        graph.update(Arc::new(Ema { momentum, overwrite_frequency, count }), &[], &averaged)?;
    }
    Ok(graph)
}

/// Neighbouring variables that the optimizer changes and for which a number is the same, as one range.
struct Range {
    /// In bytes.
    start: u64,
    /// In elements.
    count: usize,
    value: f64,
}

/// The ranges of the variables that the optimizer changes, by a number of each.
fn ranges(batch: &Batch<'_>, value: impl Fn(usize) -> f64) -> Vec<Range> {
    let of_optimizer = (0..batch.network.variables.len()).filter(|&variable| batch.layout.offset(variable).is_some());
    let of_optimizer: Vec<usize> = of_optimizer.collect();
    let runs = of_optimizer.chunk_by(|&a, &b| value(a) == value(b));
    let range = |run: &[usize]| {
        let (first, last) = (run[0], run[run.len() - 1]);
        let [start, end] = [first, last].map(|variable| batch.layout.offset(variable).unwrap_or_default());
        let count = (end - start) as usize / 4 + batch.network.variables[last].shape.elements();
        Range { start, count, value: value(first) }
    };
    runs.map(range).collect()
}

impl Range {
    /// Its weights.
    fn weights(&self, graph: &mut Graph) -> Tensor {
        let buffer = graph.buffer(TRAINABLE);
        graph.persistent(TensorType::f32([self.count]), buffer, self.start)
    }
}

/// Has the weights decay that do so, neighbours together. As in Keras, those without a gradient stay.
fn decay(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile, with_gradient: &[usize]) -> Result<()> {
    let decay = compiled.optimizer.weight_decay();
    let rate = |variable: usize| match with_gradient.contains(&variable) {
        true => decay.rate_of(name(batch, variable), group(batch, variable).weight_decay),
        false => 0.0,
    };
    graph.scope("weight_decay");
    for range in ranges(batch, rate).into_iter().filter(|range| range.value != 0.0) {
        let weights = range.weights(graph);
        let op = WeightDecay { rate: range.value as f32, count: range.count };
        graph.update(Arc::new(op), &[], &[weights])?;
    }
    Ok(())
}

/// Copies the weights whose learning rate has a factor, before a step changes them.
fn copied(graph: &mut Graph, batch: &Batch<'_>) -> Result<Vec<(Range, Tensor)>> {
    graph.scope("learning_rate_factor");
    let with_factor = ranges(batch, |variable| group(batch, variable).learning_rate_factor);
    let with_factor = with_factor.into_iter().filter(|range| range.value != 1.0);
    let copy = |range: Range| {
        let weights = range.weights(graph);
        let old = graph.add(Copy, &[weights])?;
        Ok((range, old))
    };
    with_factor.map(copy).collect()
}

/// Multiplies the change of the copied weights by their factor: `p = old + factor (p - old)`.
fn apply_factors(graph: &mut Graph, copied: Vec<(Range, Tensor)>) -> Result<()> {
    graph.scope("learning_rate_factor");
    for (range, old) in copied {
        let weights = range.weights(graph);
        let change = graph.add(ScaleAdd { a: 1.0, b: -1.0 }, &[weights, old])?;
        let new = graph.add(ScaleAdd { a: 1.0, b: range.value as f32 }, &[old, change])?;
        let buffer = graph.buffer(TRAINABLE);
        graph.place(new, buffer, range.start)?;
    }
    Ok(())
}

fn group(batch: &Batch<'_>, variable: usize) -> ParameterGroup {
    batch.network.variables[variable].group
}

/// A variable's name as `layer/variable`.
fn name<'a>(batch: &Batch<'a>, variable: usize) -> &'a str {
    &batch.network.variables[variable].name
}

/// Has a gradient computed in its variable's range of one flat buffer. A variable that the loss does not depend on has
/// none, and its range stays zero.
fn place_gradient(graph: &mut Graph, batch: &Batch<'_>, variable: usize, gradient: Option<Tensor>) -> Result<()> {
    let (Some(mut gradient), Some(offset)) = (gradient, batch.layout.offset(variable)) else { return Ok(()) };
    let buffer = graph.buffer(GRADIENTS);
    if !graph.is_planned(gradient) {
        graph.scope(batch.network.variables[variable].name.clone());
        gradient = graph.add(Copy, &[gradient])?;
    }
    graph.place(gradient, buffer, offset)?;
    Ok(())
}

/// Clips the gradients where they lie, if that is asked for.
fn clip(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile) -> Result<()> {
    let buffer = graph.buffer(GRADIENTS);
    let count = batch.layout.trainable_len();
    let flat = |graph: &mut Graph| graph.persistent(TensorType::f32([count]), buffer, 0);
    if let Some(limit) = compiled.clipvalue {
        graph.scope("clipvalue");
        let gradients = flat(graph);
        graph.update(Arc::new(ClipByValue { limit: limit as f32, count }), &[], &[gradients])?;
    }
    if let Some(limit) = compiled.global_clipnorm {
        graph.scope("global_clipnorm");
        let gradients = flat(graph);
        graph.update(Arc::new(ClipByNorm { limit: limit as f32, count }), &[], &[gradients])?;
    }
    if let Some(limit) = compiled.clipnorm {
        for (index, variable) in batch.network.variables.iter().enumerate() {
            let Some(offset) = batch.layout.offset(index) else { continue };
            graph.scope(variable.name.clone());
            let count = variable.shape.elements();
            let gradient = graph.persistent(TensorType::f32([count]), buffer, offset);
            graph.update(Arc::new(ClipByNorm { limit: limit as f32, count }), &[], &[gradient])?;
        }
    }
    Ok(())
}

/// Forward, and the metrics.
pub(super) fn evaluation(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, batch)?;
    measured(&mut graph, batch.network, compiled, &forward)?;
    Ok(graph)
}

/// Forward, into a buffer that can be read.
pub(super) fn prediction(batch: &Batch<'_>) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, batch)?;
    let buffer = graph.buffer(PREDICTIONS);
    graph.place(forward.output, buffer, 0)?;
    Ok(graph)
}
