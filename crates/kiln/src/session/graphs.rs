//! What a model computes for one batch, as graphs: a training step, an evaluation, a prediction.

use std::collections::HashSet;
use std::sync::Arc;

use kiln_graph::{DType, Graph, Tensor, TensorType};
use kiln_ops::{Copy, Gather, Record, Sum, gradients};

use super::{METRICS_ROWS, Resident, Role};
use crate::Result;
use crate::compile::Compile;
use crate::network::{Network, PARAMETERS};

/// The buffer with a row per step: the sum of the losses, and the number of hits.
pub(super) const METRICS: &str = "metrics";
/// The buffer with what the model gives for a batch.
pub(super) const PREDICTIONS: &str = "predictions";

const GRADIENTS: &str = "gradients";

/// A batch on its way through a network.
struct Forward {
    parameters: Vec<Tensor>,
    output: Tensor,
    labels: Tensor,
}

fn forward(graph: &mut Graph, network: &Network, data: &Resident, role: Role, batch: usize) -> Result<Forward> {
    graph.scope("gather");
    let mut persistent = |part: &str, ty: &TensorType| {
        let buffer = graph.buffer(&role.buffer(part));
        graph.persistent(ty.clone(), buffer, 0)
    };
    let (x, y) = (persistent("x", &data.x), persistent("y", &data.y));
    let order = persistent("order", &TensorType::new([data.samples], DType::U32));
    let x = graph.add(Gather { scale: data.scale, offset: data.offset, batch }, &[x, order])?;
    let labels = graph.add(Gather { scale: 1.0, offset: 0.0, batch }, &[y, order])?;
    let parameters = network.parameters(graph);
    let output = network.call(graph, x, &parameters)?;
    Ok(Forward { parameters, output, labels })
}

/// Appends the loss of each sample and the record of the batch's metrics; gives the losses.
fn measured(graph: &mut Graph, network: &Network, compiled: &Compile, forward: &Forward) -> Result<Tensor> {
    let Forward { output, labels, .. } = *forward;
    let [losses, hits] = compiled.loss.append(graph, network, output, labels, compiled.from_logits)?;
    let buffer = graph.buffer(METRICS);
    let metrics = graph.persistent(TensorType::f32([METRICS_ROWS, 2]), buffer, 0);
    graph.scope("metrics");
    graph.update(Arc::new(Record { rows: METRICS_ROWS }), &[losses, hits], &[metrics])?;
    Ok(losses)
}

/// Forward, backward and optimizer.
pub(super) fn training(
    network: &Network,
    compiled: &Compile,
    data: &Resident,
    role: Role,
    batch: usize,
) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, network, data, role, batch)?;
    let losses = measured(&mut graph, network, compiled, &forward)?;
    if network.variables.is_empty() {
        return Ok(graph);
    }
    graph.scope("loss");
    let loss = graph.add(Sum { scale: 1.0 / batch as f32 }, &[losses])?;
    let found = gradients(&mut graph, loss, &forward.parameters)?;
    place_gradients(&mut graph, network, &found)?;

    graph.scope(compiled.optimizer.name());
    let mut flat = |name: &str| {
        let buffer = graph.buffer(name);
        graph.persistent(TensorType::f32([network.flat_len()]), buffer, 0)
    };
    let flat_gradients = flat(GRADIENTS);
    let mut rewritten = vec![flat(PARAMETERS)];
    rewritten.extend(compiled.optimizer.slots().iter().map(|slot| flat(&format!("optimizer.{slot}"))));
    graph.update(compiled.optimizer.op(), &[flat_gradients], &rewritten)?;
    Ok(graph)
}

/// Has each gradient computed in its variable's range of one flat buffer. A variable that the loss does not depend on
/// has none, and its range stays zero.
fn place_gradients(graph: &mut Graph, network: &Network, found: &[Option<Tensor>]) -> Result<()> {
    let buffer = graph.buffer(GRADIENTS);
    let mut placed = HashSet::new();
    for (variable, gradient) in network.variables.iter().zip(found) {
        let Some(mut gradient) = *gradient else { continue };
        let computed = graph.nodes().iter().any(|node| !node.updates && node.outputs.contains(&gradient));
        if !computed || !placed.insert(gradient) {
            graph.scope(variable.name.clone());
            gradient = graph.add(Copy, &[gradient])?;
        }
        graph.place(gradient, buffer, variable.offset());
    }
    Ok(())
}

/// Forward, and the metrics.
pub(super) fn evaluation(
    network: &Network,
    compiled: &Compile,
    data: &Resident,
    role: Role,
    batch: usize,
) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, network, data, role, batch)?;
    measured(&mut graph, network, compiled, &forward)?;
    Ok(graph)
}

/// Forward, into a buffer that can be read.
pub(super) fn prediction(network: &Network, data: &Resident, role: Role, batch: usize) -> Result<Graph> {
    let mut graph = Graph::new();
    let forward = forward(&mut graph, network, data, role, batch)?;
    let buffer = graph.buffer(PREDICTIONS);
    graph.place(forward.output, buffer, 0);
    Ok(graph)
}
