//! What a training step makes of its gradients: clipping, weight decay, the optimizer's rule and the weights' moving average,
//! all over flat buffers.

use std::sync::Arc;

use kiln_graph::{Graph, Tensor, TensorType};
use kiln_ops::{ClipByNorm, ClipByValue, Copy, Ema, ScaleAdd, WeightDecay};

use super::graphs::{Batch, GRADIENTS, flat, slot_buffer};
use super::layout::TRAINABLE;
use crate::Result;
use crate::compile::{AVERAGE, Compile};
use crate::optimizers::ParameterGroup;

/// Appends all of it. `with_gradient` are the variables that have a gradient.
pub(super) fn append(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile, with_gradient: &[usize]) -> Result<()> {
    let count = batch.layout.trainable_len();
    if count == 0 {
        return Ok(());
    }
    clip(graph, batch, compiled)?;
    let copied = copied(graph, batch)?;
    decay(graph, batch, compiled, with_gradient)?;

    graph.scope(compiled.optimizer.name());
    let gradients = flat(graph, GRADIENTS, count);
    let mut rewritten = vec![flat(graph, TRAINABLE, count)];
    rewritten.extend(compiled.optimizer.slots().iter().map(|slot| flat(graph, &slot_buffer(slot.name), count)));
    let averaged = compiled.use_ema.then(|| [rewritten[0], flat(graph, &slot_buffer(AVERAGE), count)]);
    graph.update(compiled.optimizer.op(), &[gradients], &rewritten)?;
    apply_factors(graph, copied)?;
    if let Some(averaged) = averaged {
        graph.scope("ema");
        let overwrite_frequency = compiled.ema_overwrite_frequency.unwrap_or(0);
        let momentum = compiled.ema_momentum as f32;
        graph.update(Arc::new(Ema { momentum, overwrite_frequency, count }), &[], &averaged)?;
    }
    Ok(())
}

/// Clips the gradients where they lie, if that is asked for.
fn clip(graph: &mut Graph, batch: &Batch<'_>, compiled: &Compile) -> Result<()> {
    let buffer = graph.buffer(GRADIENTS);
    let count = batch.layout.trainable_len();
    if let Some(limit) = compiled.clipvalue {
        graph.scope("clipvalue");
        let gradients = flat(graph, GRADIENTS, count);
        graph.update(Arc::new(ClipByValue { limit: limit as f32, count }), &[], &[gradients])?;
    }
    if let Some(limit) = compiled.global_clipnorm {
        graph.scope("global_clipnorm");
        let gradients = flat(graph, GRADIENTS, count);
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
