//! The training state: gradients, the optimizer's slots and the progress.

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::Session;
use super::layout::floats;
use super::names::Persistent;
use crate::compile::AVERAGE;
use crate::network::PlacedVariable;
use crate::optimizers::{LearningRate, ParameterGroup};
use crate::weights::Weight;
use crate::{LossScale, Result};

/// The progress of a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The name of the optimizer.
    pub optimizer: String,
    /// The number of completed epochs.
    pub epochs: usize,
    /// The number of completed steps.
    pub iterations: u64,
    /// The learning rate, unless it is a schedule.
    pub learning_rate: Option<f64>,
    /// The learning rate or schedule that the model was compiled with, as text.
    pub compiled_learning_rate: String,
    /// The layers with their own learning rate factor or weight decay.
    pub groups: Vec<(String, ParameterGroup)>,
    /// The state of loss scaling in mixed precision.
    pub loss_scale: Option<LossScale>,
}

impl Session {
    /// The gradients of the last step up to them, by variable name, divided by the loss scale if there is one.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn gradients(&mut self) -> Result<Vec<Weight>> {
        let scale = self.loss_scale()?.await?.map_or(1.0, |state| state.scale);
        let flat = self.read_flat(Persistent::Gradients)?.await?;
        let of = |(index, variable): (usize, &PlacedVariable)| {
            let first = self.layout.offset(index)? as usize / 4;
            let values =
                flat.get(first..first + variable.shape.elements())?.iter().map(|value| value / scale).collect();
            Some(Weight { name: variable.name.clone(), shape: variable.shape.clone(), values })
        };
        Ok(self.network.variables.iter().enumerate().filter_map(of).collect())
    }

    /// The names of the optimizer's slots.
    ///
    /// # Errors
    /// If the network is not compiled.
    pub fn slot_names(&self) -> Result<Vec<String>> {
        let slots = self.compiled_for("the optimizer's state")?.slots();
        Ok(slots.iter().map(|slot| slot.name.to_owned()).collect())
    }

    /// The optimizer's slots: name and flat buffer of each.
    ///
    /// # Errors
    /// If the network is not compiled or the device is lost.
    pub async fn slots(&self) -> Result<Vec<(String, Vec<f32>)>> {
        let read = async |slot: String| Ok((slot.clone(), self.read_flat(Persistent::Slot(&slot))?.await?));
        try_join_all(self.slot_names()?.into_iter().map(read)).await
    }

    /// Starts to read a flat buffer of the trainable variables. The result is empty if there are none.
    fn read_flat(&self, name: Persistent<'_>) -> Result<impl Future<Output = Result<Vec<f32>>> + Send + use<>> {
        let bytes = self.layout.trainable_len() as u64 * 4;
        Ok(floats(name.of(&self.buffers).map(|buffer| buffer.read_async(0, bytes)).transpose()?))
    }

    /// Replaces the weights by their moving average, if enabled and a step was taken, at the end of a training.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn average_weights(&mut self) -> Result<()> {
        let averaged = self.compiled.as_ref().is_some_and(|compiled| compiled.use_ema) && self.iterations > 0;
        let weights = Persistent::Trainable.of(&self.buffers).filter(|_| averaged && self.layout.trainable_len() > 0);
        if let Some(weights) = weights {
            let average = self.read_flat(Persistent::Slot(AVERAGE))?.await?;
            weights.write(0, bytemuck::cast_slice(&average))?;
        }
        Ok(())
    }

    /// The progress of the training, with this state of loss scaling.
    ///
    /// # Errors
    /// If the network is not compiled.
    pub fn progress(&self, loss_scale: Option<LossScale>) -> Result<Progress> {
        let optimizer = self.compiled_for("the optimizer's state")?.optimizer.name().to_owned();
        let learning_rate = match self.learning_rate {
            LearningRate::Constant(rate) => Some(rate),
            LearningRate::Schedule(_) => None,
        };
        let compiled_learning_rate = self.compiled_learning_rate();
        let (epochs, iterations) = (self.epochs, self.iterations);
        let groups = self.network.groups();
        Ok(Progress { optimizer, epochs, iterations, learning_rate, compiled_learning_rate, groups, loss_scale })
    }

    /// The learning rate that the network was compiled with, as text.
    fn compiled_learning_rate(&self) -> String {
        self.compiled.as_ref().map_or(String::new(), |compiled| format!("{:?}", compiled.optimizer.learning_rate()))
    }

    /// Restores the training state: the concatenated weights, the optimizer's slots and the progress. Restores the learning
    /// rate if the network is compiled with the same one as the checkpoint; otherwise keeps the current one.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn restore(&mut self, weights: &[f32], slots: &[Vec<f32>], progress: &Progress) -> Result<()> {
        // First, because it may be invalid.
        if let Some(loss_scale) = progress.loss_scale {
            self.set_loss_scale(loss_scale)?;
        }
        self.write_weights(weights)?;
        for (name, flat) in self.slot_names()?.iter().zip(slots) {
            if let (Some(buffer), false) = (Persistent::Slot(name).of(&self.buffers), flat.is_empty()) {
                buffer.write(0, bytemuck::cast_slice(flat))?;
            }
        }
        (self.epochs, self.iterations) = (progress.epochs, progress.iterations);
        let compiled = self.compiled_learning_rate();
        match (&mut self.learning_rate, progress.learning_rate) {
            (LearningRate::Constant(rate), Some(saved)) if compiled == progress.compiled_learning_rate => *rate = saved,
            _ if compiled == progress.compiled_learning_rate => {}
            _ => tracing::info!(
                "keeping the learning rate {compiled} of the compiled model; the checkpoint's model was compiled with {}",
                progress.compiled_learning_rate
            ),
        }
        Ok(())
    }
}
