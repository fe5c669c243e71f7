//! The graphs of one batch: a training step, an evaluation, a prediction.

use std::sync::Arc;

use kiln_graph::{DType, Graph, Shape, Tensor, TensorType};
use kiln_ops::{Accumulate, Copy, Gather, Multiply, Record, Rescale, ScaleAdd, Sum, gradients, scaled_gradients};

use super::data_type::{DataType, InputType};
use super::layout::Layout;
use super::names::{Part, Persistent};
use super::{METRICS_ROWS, Mode, Outputs, Role, apply, loss_scale, penalties};
use crate::augmentation::{Augmentation, FeatureTensors, Source, append};
use crate::compile::Compile;
use crate::network::{Network, Node};
use crate::objectives::Objectives;
use crate::{Error, Precision, Result, losses, metrics};

/// The purpose of a graph.
pub(super) struct Batch<'a> {
    pub network: &'a Network,
    pub layout: &'a Layout,
    /// The outputs with a loss.
    pub objectives: &'a Objectives,
    /// The nodes at which the samples enter, one for each input of the data.
    pub entry: &'a [Node],
    pub data: &'a DataType,
    /// The augmentation of an input.
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
    outputs: Vec<Tensor>,
    targets: Vec<Tensor>,
    /// The weight of each sample's loss, for each target.
    weights: Vec<Option<Tensor>>,
}

fn forward(graph: &mut Graph, batch: &Batch<'_>) -> Result<Forward> {
    let Batch { network, layout, entry, data, augmentation, role, mode, precision, size, .. } = *batch;
    graph.scope("gather");
    let capacity = data.capacity();
    let part = |graph: &mut Graph, part: Part, ty: TensorType| Persistent::Data(role, part).tensor(graph, ty, 0);
    let order = part(graph, Part::Order, TensorType::new([capacity], DType::U32));
    let gather = Gather { scale: 1.0, offset: 0.0, batch: size };
    let mut targets = Vec::with_capacity(data.targets.len());
    for (index, ty) in data.targets.iter().enumerate() {
        let labels = part(graph, Part::Y(index), ty.clone());
        targets.push(graph.add(gather, &[labels, order])?);
    }
    let mut gathered = vec![None; data.weights.len()];
    for (index, _) in data.weights.iter().enumerate().filter(|(_, is_weighted)| **is_weighted) {
        let weights = part(graph, Part::Weights(index), TensorType::f32([capacity]));
        gathered[index] = Some(graph.add(gather, &[weights, order])?);
    }
    let weights = (0..targets.len()).map(|target| data.weights_of(target).and_then(|index| gathered[index])).collect();
    let shapes: Vec<Shape> = data.inputs.iter().map(|input| input.x.shape.sample()).collect();
    let augmented = augmentation.map(|augmentation| augmentation.input_of(shapes.iter())).transpose()?;
    let mut entries = Vec::with_capacity(entry.len());
    for ((index, input), &node) in data.inputs.iter().enumerate().zip(entry) {
        let augmentation = augmentation.filter(|_| augmented == Some(index));
        entries.push((node, preprocessed(graph, role, (index, input), (order, size), augmentation)?));
    }
    let variables = layout.tensors(network, graph);
    // Preprocessing, losses and metrics stay in 32-bit floats.
    graph.set_precision(precision);
    let training = !matches!(mode, Mode::Evaluate | Mode::Predict);
    let outputs = network.call(graph, &entries, &variables, training)?;
    graph.set_precision(Precision::Float32);
    Ok(Forward { variables, outputs, targets, weights })
}

/// Appends the samples of a batch for an input: in the epoch's order, augmented, scaled and standardized.
fn preprocessed(
    graph: &mut Graph,
    role: Role,
    (index, input): (usize, &InputType),
    (order, size): (Tensor, usize),
    augmentation: Option<&Augmentation>,
) -> Result<Tensor> {
    graph.scope("gather");
    let mut part = |part: Part, ty: TensorType| Persistent::Data(role, part).tensor(graph, ty, 0);
    let &InputType { ref x, scale, offset, ref standardization } = input;
    let elements = x.shape.sample().elements();
    let x = part(Part::X(index), x.clone());
    let features = standardization.features.as_ref().map(|features| FeatureTensors {
        centre: part(Part::Centre(index), TensorType::f32([elements])),
        divisor: part(Part::Divisor(index), TensorType::f32([elements])),
        whitening: features
            .whitening
            .as_ref()
            .map(|_| part(Part::Whitening(index), TensorType::f32([elements, elements]))),
    });
    append(graph, &Source { x, order, size, scale, offset, augmentation, standardization, features })
}

/// Appends the total loss of each sample and the record of the batch's figures; returns the losses.
fn measured(graph: &mut Graph, batch: &Batch<'_>, forward: &Forward) -> Result<Tensor> {
    let Batch { network, objectives, .. } = *batch;
    let (mut of_outputs, mut figures) = (Vec::new(), Vec::new());
    for (target, objective) in objectives.list.iter().enumerate() {
        let labels = forward.targets.get(target).copied().ok_or_else(|| Error::unlabelled(&network.name))?;
        let tensors = [forward.outputs[objective.output], labels];
        let scored = losses::append(&*objective.loss, graph, &network.name, tensors)?;
        of_outputs.push(match forward.weights[target] {
            Some(weights) => graph.add(Multiply, &[scored.losses, weights])?,
            None => scored.losses,
        });
        figures.extend(metrics::append(&objective.metrics, &*objective.loss, graph, &scored, tensors)?);
    }
    let losses = total(graph, objectives, &of_outputs)?;
    let losses = penalties::added(graph, network, &forward.variables, losses)?;
    let of_outputs = of_outputs.into_iter().filter(|_| objectives.has_losses());
    let figures: Vec<Tensor> = std::iter::once(losses).chain(of_outputs).chain(figures).collect();
    let columns = figures.len();
    let metrics = Persistent::Metrics.tensor(graph, TensorType::f32([METRICS_ROWS, columns]), 0);
    for (i, figures) in figures.chunks(Record::MOST).enumerate() {
        let record = Record { rows: METRICS_ROWS, columns, first: i * Record::MOST };
        graph.update(Arc::new(record), figures, &[metrics])?;
    }
    Ok(losses)
}

/// Appends the sum of the outputs' losses times their weights.
fn total(graph: &mut Graph, objectives: &Objectives, losses: &[Tensor]) -> Result<Tensor> {
    graph.scope("loss");
    let mut total: Option<(Tensor, f32)> = None;
    for (objective, &loss) in objectives.list.iter().zip(losses) {
        let weight = objective.weight as f32;
        total = Some(match total {
            None => (loss, weight),
            Some((sum, a)) => (graph.add(ScaleAdd { a, b: weight }, &[sum, loss])?, 1.0),
        });
    }
    match total.ok_or(Error::Argument { name: "loss", expected: "a loss".to_owned(), found: "none".to_owned() })? {
        (total, 1.0) => Ok(total),
        (total, scale) => Ok(graph.add(Rescale { scale, offset: 0.0 }, &[total])?),
    }
}

/// Forward and backward, up to the gradients in their flat buffer: of a batch, or of all shards up to this one.
pub(super) fn gradient(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    let mut graph = Graph::new();
    backward(&mut graph, batch)?;
    accumulate(&mut graph, batch, compiled)?;
    Ok(graph)
}

/// Appends forward and backward, and returns the variables that have a gradient.
fn backward(graph: &mut Graph, batch: &Batch<'_>) -> Result<Vec<usize>> {
    let forward = forward(graph, batch)?;
    let losses = measured(graph, batch, &forward)?;
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
    let with_gradient = backward(&mut graph, batch)?;
    apply::append(&mut graph, batch.network, batch.layout, compiled, &with_gradient)?;
    Ok(graph)
}

/// The optimizer alone, after the gradients of all shards.
pub(super) fn application(batch: &Batch<'_>, compiled: &Compile) -> Result<Graph> {
    // Which variables have a gradient does not depend on the size of a batch.
    let with_gradient = backward(&mut Graph::new(), &Batch { size: 1, whole: 1, ..*batch })?;
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
pub(super) fn evaluation(batch: &Batch<'_>) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, batch)?;
    measured(&mut graph, batch, &forward)?;
    Ok(graph)
}

/// Forward, into a buffer that can be read.
pub(super) fn prediction(batch: &Batch<'_>) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, batch)?;
    graph.scope("predictions");
    let outputs = Outputs::of(batch.network, batch.size);
    let has_several = outputs.places.len() > 1;
    for (mut output, place) in forward.outputs.into_iter().zip(outputs.places) {
        // One of several outputs may be another one, a view of it, or an input of a layer, which must not read the buffer
        // that it writes.
        if has_several || !graph.is_planned(output) {
            output = graph.add(Copy, &[output])?;
        }
        Persistent::Predictions.place(&mut graph, output, place.start)?;
    }
    Ok(graph)
}
