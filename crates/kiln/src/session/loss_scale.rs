//! Dynamic loss scaling: its state on the device, and the nodes that apply it in a training step.

use std::sync::Arc;

use kiln_graph::{Graph, Tensor, TensorType};
use kiln_ops::CopyIfSkipped;

use super::Session;
use super::names::Persistent;
use crate::{Error, LossScale, Precision, Result};

/// A scale below this one is not that of gradients in the range of 16-bit floats: some are never finite.
const SMALLEST_USEFUL: f32 = 1.0 / 16_777_216.0;
/// The number of finite steps after which the scale doubles, as in Keras.
const GROWTH_INTERVAL: u32 = 2000;

/// Whether the loss is scaled in the backward pass.
pub(super) fn applies_to(precision: Precision) -> bool {
    precision == Precision::Mixed
}

/// The scale as the gradient of the loss with respect to itself.
pub(super) fn seed(graph: &mut Graph) -> Tensor {
    Persistent::LossScale.tensor(graph, TensorType::f32([1]), 0)
}

/// Tensors that a skipped step leaves as they are, with copies that only a skipped step makes.
pub(super) struct Unchanged {
    state: Tensor,
    copies: Vec<[Tensor; 2]>,
}

impl Unchanged {
    /// Divides the flat gradients, `count` elements, by the scale, decides whether the step is skipped, updates the scale,
    /// and copies these tensors if so.
    ///
    /// # Errors
    /// If a tensor is of another graph.
    pub fn if_skipped(graph: &mut Graph, count: usize, tensors: &[Tensor]) -> Result<Unchanged> {
        graph.scope("loss_scale");
        let state = Persistent::LossScale.tensor(graph, kiln_ops::LossScale::state(), 0);
        let gradients = Persistent::Gradients.flat(graph, count);
        let op = kiln_ops::LossScale { growth_interval: GROWTH_INTERVAL, count };
        graph.update(Arc::new(op), &[], &[gradients, state])?;
        let copy = |&tensor: &Tensor| Ok([tensor, graph.add(CopyIfSkipped, &[tensor, state])?]);
        Ok(Unchanged { state, copies: tensors.iter().map(copy).collect::<Result<_>>()? })
    }

    /// Copies the tensors back if the step is skipped.
    ///
    /// # Errors
    /// If a tensor is of another graph.
    pub fn restore(&self, graph: &mut Graph) -> Result<()> {
        graph.scope("loss_scale");
        for &[tensor, copy] in &self.copies {
            graph.update(Arc::new(CopyIfSkipped), &[copy, self.state], &[tensor])?;
        }
        Ok(())
    }
}

impl LossScale {
    /// # Errors
    /// [`Error::Argument`] if the scale is not a power of two from 2^-126 to 2^126, or it should have doubled.
    fn check(&self) -> Result<()> {
        if self.finite_steps >= GROWTH_INTERVAL {
            let expected = format!("fewer than {GROWTH_INTERVAL}");
            return Err(Error::Argument { name: "finite_steps", expected, found: self.finite_steps.to_string() });
        }
        let bits = self.scale.to_bits();
        let exponent = bits >> 23;
        if bits == exponent << 23 && (1..=253).contains(&exponent) {
            return Ok(());
        }
        let expected = "a power of two from 2^-126 to 2^126".to_owned();
        Err(Error::Argument { name: "scale", expected, found: self.scale.to_string() })
    }
}

impl Session {
    /// Starts to read the state of loss scaling. The future returns `None` in other precisions.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn loss_scale(&self) -> Result<impl Future<Output = Result<Option<LossScale>>> + Send + use<>> {
        let read = Persistent::LossScale.of(&self.buffers).map(|buffer| buffer.read_async(0, 16)).transpose()?;
        Ok(async move {
            let Some(read) = read else { return Ok(None) };
            let words: Vec<u32> = bytemuck::pod_collect_to_vec(&read.await?);
            let word = |at: usize| words.get(at).copied().unwrap_or_default();
            Ok(Some(LossScale { scale: f32::from_bits(word(0)), finite_steps: word(1), skipped_steps: word(2) }))
        })
    }

    /// Whether steps are skipped however small the scale is: a gradient is not finite for another reason.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn has_useless_scale(&self) -> Result<bool> {
        Ok(self.loss_scale()?.await?.is_some_and(|state| state.scale < SMALLEST_USEFUL))
    }

    /// Replaces the state of loss scaling, from the next step on.
    ///
    /// # Errors
    /// [`Error::Argument`] if the scale is invalid or the model is not compiled in mixed precision, or the device is lost.
    pub fn set_loss_scale(&self, state: LossScale) -> Result<()> {
        state.check()?;
        let Some(buffer) = Persistent::LossScale.of(&self.buffers) else {
            let expected = "a model that is compiled with `Precision::Mixed`".to_owned();
            return Err(Error::Argument { name: "loss_scale", expected, found: "another precision".to_owned() });
        };
        let words = [state.scale.to_bits(), state.finite_steps, state.skipped_steps, 0];
        Ok(buffer.write(0, bytemuck::cast_slice(&words))?)
    }
}
