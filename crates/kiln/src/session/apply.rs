//! Application of gradients in a training step: loss scaling, clipping, weight decay, the optimizer's update, the weights'
//! moving average and constraints, all over flat buffers.

use std::sync::Arc;

use kiln_graph::{Graph, Tensor, TensorType};
use kiln_ops::{ClipByNorm, ClipByValue, Copy, Ema, ScaleAdd, WeightDecay};

use super::layout::Layout;
use super::loss_scale::{self, Unchanged};
use super::names::Persistent;
use crate::Result;
use crate::compile::{AVERAGE, Compile};
use crate::network::Network;
use crate::optimizers::ParameterGroup;

/// Appends all of these. `with_gradient` lists the variables that have a gradient.
pub(super) fn append(
    graph: &mut Graph,
    network: &Network,
    layout: &Layout,
    compiled: &Compile,
    with_gradient: &[usize],
) -> Result<()> {
    let count = layout.trainable_len();
    if count == 0 {
        return Ok(());
    }
    let variables = &Variables { network, layout };
    let weights = Persistent::Trainable.flat(graph, count);
    let slots = compiled.optimizer.slots().into_iter();
    let slots: Vec<Tensor> = slots.map(|slot| Persistent::Slot(slot.name).flat(graph, count)).collect();
    let rewritten: Vec<Tensor> = std::iter::once(weights).chain(slots).collect();
    let unchanged = match loss_scale::applies_to(compiled.precision) {
        true => Some(Unchanged::if_skipped(graph, count, &rewritten)?),
        false => None,
    };
    clip(graph, variables, compiled)?;
    let copied = copied(graph, variables)?;
    decay(graph, variables, compiled, with_gradient)?;

    graph.scope(compiled.optimizer.name());
    let gradients = Persistent::Gradients.flat(graph, count);
    let averaged = compiled.use_ema.then(|| [weights, Persistent::Slot(AVERAGE).flat(graph, count)]);
    graph.update(compiled.optimizer.op(), &[gradients], &rewritten)?;
    apply_factors(graph, copied)?;
    if let Some(unchanged) = &unchanged {
        unchanged.restore(graph)?;
    }
    if let Some(averaged) = averaged {
        graph.scope("ema");
        let overwrite_frequency = compiled.ema_overwrite_frequency.unwrap_or(0);
        let momentum = compiled.ema_momentum as f32;
        graph.update(Arc::new(Ema { momentum, overwrite_frequency, count }), &[], &averaged)?;
    }
    if constrain(graph, variables)?
        && let Some(unchanged) = unchanged
    {
        unchanged.restore(graph)?;
    }
    Ok(())
}

/// The variables of a network, and the positions of those that the optimizer updates.
struct Variables<'a> {
    network: &'a Network,
    layout: &'a Layout,
}

impl Variables<'_> {
    fn group(&self, variable: usize) -> ParameterGroup {
        self.network.variables[variable].group
    }

    /// A variable's name as `layer/variable`.
    fn name(&self, variable: usize) -> &str {
        &self.network.variables[variable].name
    }
}

/// Clips the gradients in place, if enabled.
fn clip(graph: &mut Graph, variables: &Variables<'_>, compiled: &Compile) -> Result<()> {
    let count = variables.layout.trainable_len();
    if let Some(limit) = compiled.clipvalue {
        graph.scope("clipvalue");
        let gradients = Persistent::Gradients.flat(graph, count);
        graph.update(Arc::new(ClipByValue { limit: limit as f32, count }), &[], &[gradients])?;
    }
    if let Some(limit) = compiled.global_clipnorm {
        graph.scope("global_clipnorm");
        let gradients = Persistent::Gradients.flat(graph, count);
        graph.update(Arc::new(ClipByNorm { limit: limit as f32, count }), &[], &[gradients])?;
    }
    if let Some(limit) = compiled.clipnorm {
        for (index, variable) in variables.network.variables.iter().enumerate() {
            let Some(offset) = variables.layout.offset(index) else { continue };
            graph.scope(variable.name.clone());
            let count = variable.shape.elements();
            let gradient = Persistent::Gradients.tensor(graph, TensorType::f32([count]), offset);
            graph.update(Arc::new(ClipByNorm { limit: limit as f32, count }), &[], &[gradient])?;
        }
    }
    Ok(())
}

/// Adjacent trainable variables with the same value of a setting, as one range.
struct Range {
    /// In bytes.
    start: u64,
    /// In elements.
    count: usize,
    value: f64,
}

/// The ranges of the trainable variables, grouped by a setting.
fn ranges(variables: &Variables<'_>, value: impl Fn(usize) -> f64) -> Vec<Range> {
    let of_optimizer =
        (0..variables.network.variables.len()).filter(|&variable| variables.layout.offset(variable).is_some());
    let of_optimizer: Vec<usize> = of_optimizer.collect();
    let runs = of_optimizer.chunk_by(|&a, &b| value(a) == value(b));
    let range = |run: &[usize]| {
        let (first, last) = (run[0], run[run.len() - 1]);
        let [start, end] = [first, last].map(|variable| variables.layout.offset(variable).unwrap_or_default());
        let count = (end - start) as usize / 4 + variables.network.variables[last].shape.elements();
        Range { start, count, value: value(first) }
    };
    runs.map(range).collect()
}

impl Range {
    /// Its weights.
    fn weights(&self, graph: &mut Graph) -> Tensor {
        Persistent::Trainable.tensor(graph, TensorType::f32([self.count]), self.start)
    }
}

/// Applies weight decay, per range of adjacent variables. As in Keras, variables without a gradient are unchanged.
fn decay(graph: &mut Graph, variables: &Variables<'_>, compiled: &Compile, with_gradient: &[usize]) -> Result<()> {
    let decay = compiled.optimizer.weight_decay();
    let rate = |variable: usize| match with_gradient.contains(&variable) {
        true => decay.rate_of(variables.name(variable), variables.group(variable).weight_decay),
        false => 0.0,
    };
    graph.scope("weight_decay");
    for range in ranges(variables, rate).into_iter().filter(|range| range.value != 0.0) {
        let weights = range.weights(graph);
        let op = WeightDecay { rate: range.value as f32, count: range.count };
        graph.update(Arc::new(op), &[], &[weights])?;
    }
    Ok(())
}

/// Applies the constraints of the trainable variables, after the moving average as in Keras. Returns whether there are any.
fn constrain(graph: &mut Graph, variables: &Variables<'_>) -> Result<bool> {
    let mut any = false;
    for (index, variable) in variables.network.variables.iter().enumerate() {
        let (Some(offset), Some(constraint)) = (variables.layout.offset(index), &variable.constraint) else { continue };
        graph.scope(variable.name.clone());
        let (shape, op) = constraint.op(&variable.shape);
        let weights = Persistent::Trainable.tensor(graph, TensorType::f32(shape), offset);
        graph.update(op, &[], &[weights])?;
        any = true;
    }
    Ok(any)
}

/// Copies the weights that have a learning rate factor, before a step updates them.
fn copied(graph: &mut Graph, variables: &Variables<'_>) -> Result<Vec<(Range, Tensor)>> {
    graph.scope("learning_rate_factor");
    let with_factor = ranges(variables, |variable| variables.group(variable).learning_rate_factor);
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
        Persistent::Trainable.place(graph, new, range.start)?;
    }
    Ok(())
}
