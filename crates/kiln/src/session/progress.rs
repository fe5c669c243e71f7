//! The state of a training: gradients, what the optimizer keeps, and how far it is.

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::Session;
use super::layout::floats;
use super::names::Persistent;
use crate::Result;
use crate::compile::AVERAGE;
use crate::network::PlacedVariable;
use crate::optimizers::{LearningRate, ParameterGroup};
use crate::weights::Weight;

/// How far a training is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The name of the optimizer.
    pub optimizer: String,
    /// How many epochs are over.
    pub epochs: usize,
    /// How many steps are.
    pub iterations: u64,
    /// The learning rate, unless a schedule tells it.
    pub learning_rate: Option<f64>,
    /// The learning rate or schedule that the model was compiled with, in words.
    pub compiled_learning_rate: String,
    /// The layers that learn or decay otherwise than the optimizer says.
    pub groups: Vec<(String, ParameterGroup)>,
}

impl Session {
    /// The gradients that the last step left, by the names of the variables.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn gradients(&mut self) -> Result<Vec<Weight>> {
        let flat = self.read_flat(Persistent::Gradients)?.await?;
        let of = |(index, variable): (usize, &PlacedVariable)| {
            let first = self.layout.offset(index)? as usize / 4;
            let values = flat.get(first..first + variable.shape.elements())?.to_vec();
            Some(Weight { name: variable.name.clone(), shape: variable.shape.clone(), values })
        };
        Ok(self.network.variables.iter().enumerate().filter_map(of).collect())
    }

    /// The names of what the optimizer keeps from step to step.
    ///
    /// # Errors
    /// When the network is not compiled.
    pub fn slot_names(&self) -> Result<Vec<String>> {
        let slots = self.compiled_for("the optimizer's state")?.slots();
        Ok(slots.iter().map(|slot| slot.name.to_owned()).collect())
    }

    /// The optimizer's slots: name and flat buffer of each.
    ///
    /// # Errors
    /// When the network is not compiled or the device is lost.
    pub async fn slots(&self) -> Result<Vec<(String, Vec<f32>)>> {
        let read = async |slot: String| Ok((slot.clone(), self.read_flat(Persistent::Slot(&slot))?.await?));
        try_join_all(self.slot_names()?.into_iter().map(read)).await
    }

    /// Begins to read a flat buffer of the variables that the optimizer changes. It is empty if there is none.
    fn read_flat(&self, name: Persistent<'_>) -> Result<impl Future<Output = Result<Vec<f32>>> + Send + use<>> {
        let bytes = self.layout.trainable_len() as u64 * 4;
        Ok(floats(name.of(&self.buffers).map(|buffer| buffer.read_async(0, bytes)).transpose()?))
    }

    /// Replaces the weights by their moving average, if one is kept and a step was taken: what ends a training.
    ///
    /// # Errors
    /// When the device is lost.
    pub async fn average_weights(&mut self) -> Result<()> {
        let averaged = self.compiled.as_ref().is_some_and(|compiled| compiled.use_ema) && self.iterations > 0;
        let weights = Persistent::Trainable.of(&self.buffers).filter(|_| averaged && self.layout.trainable_len() > 0);
        if let Some(weights) = weights {
            let average = self.read_flat(Persistent::Slot(AVERAGE))?.await?;
            weights.write(0, bytemuck::cast_slice(&average))?;
        }
        Ok(())
    }

    /// How far training is.
    ///
    /// # Errors
    /// When the network is not compiled.
    pub fn progress(&self) -> Result<Progress> {
        let optimizer = self.compiled_for("the optimizer's state")?.optimizer.name().to_owned();
        let learning_rate = match self.learning_rate {
            LearningRate::Constant(rate) => Some(rate),
            LearningRate::Schedule(_) => None,
        };
        let compiled_learning_rate = self.compiled_learning_rate();
        let (epochs, iterations) = (self.epochs, self.iterations);
        let groups = self.network.groups();
        Ok(Progress { optimizer, epochs, iterations, learning_rate, compiled_learning_rate, groups })
    }

    /// The learning rate that the network was compiled with, in words.
    fn compiled_learning_rate(&self) -> String {
        self.compiled.as_ref().map_or(String::new(), |compiled| format!("{:?}", compiled.optimizer.learning_rate()))
    }

    /// Puts training where it was: the weights one after the other, what the optimizer kept, and how far it was. The
    /// learning rate is that of then if the network was compiled with the same; another one stays.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn restore(&mut self, weights: &[f32], slots: &[Vec<f32>], progress: &Progress) -> Result<()> {
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
                "the learning rate is {compiled}, which the model is compiled with now; the checkpoint's training was \
                 compiled with {}",
                progress.compiled_learning_rate
            ),
        }
        Ok(())
    }
}
