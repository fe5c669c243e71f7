//! The graphs of one batch: a training step, an evaluation, a prediction.

use std::sync::Arc;

use kiln_graph::{DType, Graph, Tensor, TensorType};
use kiln_ops::{Accumulate, Copy, Gather, Multiply, Record, Sum, gradients, scaled_gradients};

use super::data_type::DataType;
use super::layout::Layout;
use super::names::{Part, Persistent};
use super::{METRICS_ROWS, Mode, Role, apply, loss_scale, penalties};
use crate::augmentation::{Augmentation, FeatureTensors, Source, append};
use crate::compile::Compile;
use crate::network::{Network, Node};
use crate::{Error, Precision, Result, losses};

/// The purpose of a graph.
pub(super) struct Batch<'a> {
    pub network: &'a Network,
    pub layout: &'a Layout,
    /// The node at which the samples enter.
    pub entry: Node,
    pub data: &'a DataType,
    /// The augmentation of the samples.
    pub augmentation: Option<&'a Augmentation>,
    pub role: Role,
    pub mode: Mode,
    pub precision: Precision,
    /// The number of samples.
    pub size: usize,
    /// The number of samples of the whole batch, of which this may be a shard.
    pub whole: usize,
}

/// A batch in a network.
struct Forward {
    variables: Vec<Tensor>,
    output: Tensor,
    labels: Option<Tensor>,
    /// The weight of each sample's loss.
    weights: Option<Tensor>,
}

fn forward(graph: &mut Graph, batch: &Batch<'_>) -> Result<Forward> {
    let Batch { network, layout, entry, data, augmentation, role, mode, precision, size, .. } = *batch;
    graph.scope("gather");
    let mut part = |part: Part, ty: TensorType| Persistent::Data(role, part).tensor(graph, ty, 0);
    let x = part(Part::X, data.x.clone());
    let y = data.y.clone().map(|y| part(Part::Y, y));
    let weights = data.is_weighted.then(|| part(Part::Weights, TensorType::f32([data.capacity()])));
    let order = part(Part::Order, TensorType::new([data.capacity()], DType::U32));
    let elements = data.x.shape.sample().elements();
    let features = data.standardization.features.as_ref().map(|features| FeatureTensors {
        centre: part(Part::Centre, TensorType::f32([elements])),
        divisor: part(Part::Divisor, TensorType::f32([elements])),
        whitening: features.whitening.as_ref().map(|_| part(Part::Whitening, TensorType::f32([elements, elements]))),
    });
    let gather = Gather { scale: 1.0, offset: 0.0, batch: size };
    let mut gathered = |tensor: Option<Tensor>| tensor.map(|tensor| graph.add(gather, &[tensor, order])).transpose();
    let (labels, weights) = (gathered(y)?, gathered(weights)?);
    let &DataType { scale, offset, ref standardization, .. } = data;
    let x = append(graph, &Source { x, order, size, scale, offset, augmentation, standardization, features })?;
    let variables = layout.tensors(network, graph);
    // Preprocessing, losses and metrics stay in 32-bit floats.
    graph.set_precision(precision);
    let output = network.call(graph, (entry, x), &variables, !matches!(mode, Mode::Evaluate | Mode::Predict))?;
    graph.set_precision(Precision::Float32);
    Ok(Forward { variables, output, labels, weights })
}

/// Appends the loss of each sample and the record of the batch's metrics; returns the losses.
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
    let columns = figures.len();
    let metrics = Persistent::Metrics.tensor(graph, TensorType::f32([METRICS_ROWS, columns]), 0);
    for (i, figures) in figures.chunks(Record::MOST).enumerate() {
        let record = Record { rows: METRICS_ROWS, columns, first: i * Record::MOST };
        graph.update(Arc::new(record), figures, &[metrics])?;
    }
    Ok(losses)
}

/// Forward and backward, up to the gradients in their flat buffer: of a batch, or of all shards up to this one.
pub(super) fn gradient(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    let mut graph = Graph::new();
    backward(&mut graph, batch, compiled)?;
    accumulate(&mut graph, batch, compiled)?;
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
    let loss = graph.add(Sum { scale: 1.0 / batch.whole as f32 }, &[losses])?;
    let parameters: Vec<Tensor> = trained.iter().map(|&variable| forward.variables[variable]).collect();
    let found = match loss_scale::applies_to(batch.precision) {
        true => {
            let seed = loss_scale::seed(graph);
            scaled_gradients(graph, loss, seed, &parameters)?
        }
        false => gradients(graph, loss, &parameters)?,
    };
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
    apply::append(&mut graph, batch.network, batch.layout, compiled, &with_gradient)?;
    Ok(graph)
}

/// The optimizer alone, after the gradients of all shards.
pub(super) fn application(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    // Which variables have a gradient does not depend on the size of a batch.
    let with_gradient = backward(&mut Graph::new(), &Batch { size: 1, whole: 1, ..*batch }, compiled)?;
    let mut graph = Graph::new();
    apply::append(&mut graph, batch.network, batch.layout, compiled, &with_gradient)?;
    Ok(graph)
}

/// Adds the gradients of a shard to those of previous shards.
fn accumulate(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile) -> Result<()> {
    let count = batch.layout.trainable_len();
    let levels = Accumulate::levels(compiled.shards(batch.whole));
    graph.scope("accumulate");
    for level in (0..levels).filter(|_| count > 0) {
        let rewritten = [Persistent::Gradients, Persistent::PartialSum(level)].map(|flat| flat.flat(graph, count));
        graph.update(Arc::new(Accumulate { level, count }), &[], &rewritten)?;
    }
    Ok(())
}

/// Places a gradient in its variable's range of one flat buffer. A variable that the loss does not depend on has
/// none, and its range stays zero.
fn place_gradient(graph: &mut Graph, batch: &Batch<'_>, variable: usize, gradient: Option<Tensor>) -> Result<()> {
    let (Some(mut gradient), Some(offset)) = (gradient, batch.layout.offset(variable)) else { return Ok(()) };
    if !graph.is_planned(gradient) {
        graph.scope(batch.network.variables[variable].name.clone());
        gradient = graph.add(Copy, &[gradient])?;
    }
    Persistent::Gradients.place(graph, gradient, offset)
}

/// Forward and metrics.
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
    Persistent::Predictions.place(&mut graph, forward.output, 0)?;
    Ok(graph)
}
