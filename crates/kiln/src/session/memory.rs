//! Checks of the device's memory and limits before work begins.

use kiln_graph::Plan;

use super::programs::Key;
use super::{Mode, Role, Session};
use crate::data::{DataError, Dataset, Labels};
use crate::network::{Input, Network};
use crate::{Compile, Device, Result, memory};

/// The memory of all variables while a network is trained (or only predicts), in bytes: their values, and for trainable
/// ones the gradients, their partial sums over shards and the optimizer's slots.
fn variable_bytes(network: &Network, compiled: Option<&Compile>) -> u64 {
    let of = |trained: bool| {
        let variables = network.variables.iter().filter(|variable| network.trains(variable) == trained);
        variables.map(|variable| variable.shape.elements() as u64 * 4).sum::<u64>()
    };
    let copies = compiled.map_or(1, |compiled| 2 + u64::from(compiled.levels()) + compiled.slots().len() as u64);
    of(false).saturating_add(of(true).saturating_mul(copies))
}

/// A lower bound of the memory of a training step beside the variables, in bytes: the input and output of the layer for
/// which they are largest.
fn step_bytes(network: &Network, batch: usize) -> u64 {
    let layers = network.layers.iter().filter_map(|layer| layer.shapes.as_ref());
    let sizes = layers.map(|(inputs, output)| {
        inputs.iter().chain([output]).fold(0u64, |sum, shape| sum.saturating_add(shape.elements() as u64 * 4))
    });
    sizes.max().unwrap_or(0).saturating_mul(batch as u64)
}

/// # Errors
/// [`Error::Memory`] if the free memory of a device, where known, is too small for the variables of a network, or for
/// them and the minimum for a batch of this size.
pub(crate) fn check_memory(network: &Network, device: &Device, compiled: Option<&Compile>, batch: usize) -> Result<()> {
    let free = memory::free_on(device);
    let variables = variable_bytes(network, compiled);
    let all = if compiled.is_some() { "weights, gradients and optimizer state" } else { "weights" };
    memory::check(|| format!("the {all} of model `{}`", network.name), variables, free)?;
    let at_once = compiled.map_or(batch, |compiled| compiled.largest_shard(batch));
    let part = if at_once == batch { "batch" } else { "shard" };
    let samples = if at_once == 1 { "sample" } else { "samples" };
    let what = || format!("the {all} of model `{}` and a {part} of {at_once} {samples}", network.name);
    memory::check(what, variables.saturating_add(step_bytes(network, at_once)), free)
}

impl Session {
    /// # Errors
    /// [`Error::Memory`] if the minimum for the samples of a program exceeds the device's memory. Checked before
    /// planning, in which other sizes may overflow.
    pub(super) fn check_step(&self, key: Key) -> Result<()> {
        self.check_free(key, step_bytes(&self.network, key.size))
    }

    /// # Errors
    /// [`Error::Memory`] if the memory of a program beside the variables exceeds the device's memory.
    pub(super) fn check_slots(&self, plan: &Plan, key: Key) -> Result<()> {
        self.check_free(key, plan.slot_bytes())
    }

    fn check_free(&self, Key { size, whole, .. }: Key, slot_bytes: u64) -> Result<()> {
        let more = slot_bytes.saturating_sub(self.buffers.slot_bytes());
        let what = || match &self.network.name {
            model if size == whole => format!("model `{model}` with batches of {size}; use smaller ones"),
            model => format!("model `{model}` with shards of {size} samples; use smaller batches, or more shards"),
        };
        memory::check(what, more, memory::free_on(&self.device))
    }

    /// On a device with limits below WebGPU's defaults, checks that the network's kernels compile, for a batch of one
    /// sample.
    ///
    /// # Errors
    /// The driver's error for a kernel.
    pub(super) async fn compile_if_weak(&mut self) -> Result<()> {
        if !self.device.has_weak_limits() {
            return Ok(());
        }
        let data = self.sample()?;
        self.load(Role::Test, &data, &self.network.input_nodes())?;
        let modes = if self.compiled.is_some() { &[Mode::Train, Mode::Evaluate][..] } else { &[Mode::Predict] };
        let keys: Vec<Key> = modes.iter().flat_map(|&mode| self.keys(mode, Role::Test, 1)).collect();
        for key in keys {
            let plan = self.plan(key)?;
            self.buffers.prepare(plan)?.program().await?;
        }
        self.resident.remove(&Role::Test);
        Ok(())
    }

    /// A data set of one sample, with labels that the losses accept.
    fn sample(&self) -> Result<Dataset> {
        let input = |input: &Input| Dataset::from_f32(input.shape.clone(), vec![0.0; input.shape.elements()], None);
        let inputs: std::result::Result<Vec<Dataset>, DataError> = self.network.inputs.iter().map(input).collect();
        let mut targets = Vec::new();
        for objective in &self.objectives.list {
            let Some(shape) = self.network.output_shapes().nth(objective.output) else { continue };
            let index = Labels::index(vec![0], shape.elements());
            targets.push(match objective.loss.check_labels(shape, &index) {
                Ok(()) => index,
                Err(_) => Labels::values(vec![0.0; shape.elements()], shape.elements()),
            });
        }
        Ok(Dataset::zip(inputs?)?.with_targets(targets)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sequential;
    use crate::layers::Dense;

    #[test]
    fn weights_gradients_partial_sums_slots_and_the_moving_average_count() {
        let mut model = Sequential::new([4]);
        model.add(Dense::new(3));
        let values = 4 * 3 + 3;
        let compile = |use_ema| Compile { use_ema, ..Compile::default() }; // Adam has two slots
        let accumulate = |accumulate| Compile { accumulate, ..Compile::default() };
        assert_eq!(variable_bytes(model.network(), None), 4 * values);
        assert_eq!(variable_bytes(model.network(), Some(&compile(false))), 4 * values * 4);
        assert_eq!(variable_bytes(model.network(), Some(&compile(true))), 4 * values * 5);
        assert_eq!(variable_bytes(model.network(), Some(&accumulate(2))), 4 * values * 5);
        assert_eq!(variable_bytes(model.network(), Some(&accumulate(5))), 4 * values * 7);
    }
}
