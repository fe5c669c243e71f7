//! Some of the variables of a model's layers: parameter groups with a learning rate and a weight decay of their own.

use kiln_graph::Shape;

use crate::Result;
use crate::network::Network;
use crate::optimizers::ParameterGroup;

/// A variable of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariableInfo<'a> {
    /// The layer's name: `conv1`.
    pub layer: &'a str,
    /// Its name within the layer: `kernel`, `bias`.
    pub name: &'a str,
    /// Its extents, in elements.
    pub shape: &'a Shape,
    /// Whether training changes it.
    pub trainable: bool,
    /// The factor of its learning rate, 1 by default.
    pub learning_rate_factor: f64,
    /// The rate of its weight decay in place of the optimizer's; `None`, by default, for the optimizer's.
    pub weight_decay: Option<f64>,
}

impl<'a> VariableInfo<'a> {
    pub(super) fn new(network: &'a Network, index: usize) -> VariableInfo<'a> {
        let variable = &network.variables[index];
        let (layer, name) = variable.name.rsplit_once('/').unwrap_or(("", &variable.name));
        let ParameterGroup { learning_rate_factor, weight_decay } = variable.group;
        let trainable = network.trains(variable);
        VariableInfo { layer, name, shape: &variable.shape, trainable, learning_rate_factor, weight_decay }
    }
}

/// Some variables of a model: see [`LayerList::variables`](crate::LayerList::variables).
#[derive(Debug)]
pub struct VariableList<'a> {
    network: &'a mut Network,
    /// Their places among all variables.
    chosen: Vec<usize>,
}

impl<'a> VariableList<'a> {
    pub(super) fn new(network: &'a mut Network, chosen: Vec<usize>) -> VariableList<'a> {
        VariableList { network, chosen }
    }

    /// The variables.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = VariableInfo<'_>> {
        self.chosen.iter().map(|&index| VariableInfo::new(self.network, index))
    }

    /// Multiplies their learning rate by a factor, 0 or more, from the next [`Model::compile`](crate::Model::compile) on:
    /// discriminative fine-tuning (Howard and Ruder 2018). The change that a step of the optimizer makes of a variable,
    /// weight decay included, is multiplied by the factor. Since the steps of all of Kiln's optimizers are proportional to
    /// the learning rate, that is exactly the optimizer with the other rate.
    ///
    /// Model files keep it, under a key of Kiln's that Keras passes over. A model with other factors refuses a checkpoint.
    ///
    /// # Errors
    /// If the factor is negative or not finite.
    pub fn set_learning_rate_factor(&mut self, factor: f64) -> Result<()> {
        self.set_group(|group| ParameterGroup { learning_rate_factor: factor, ..group })
    }

    /// Replaces the rate of the optimizer's [`WeightDecay`](crate::optimizers::WeightDecay) for them, from the next
    /// [`Model::compile`](crate::Model::compile) on; `None` restores the optimizer's. Variables that the optimizer's weight
    /// decay excludes by name, all biases for example, do not decay either way.
    ///
    /// Model files keep it, under a key of Kiln's that Keras passes over. A model with other rates refuses a checkpoint.
    ///
    /// # Errors
    /// If the rate is negative or not finite.
    pub fn set_weight_decay(&mut self, rate: impl Into<Option<f64>>) -> Result<()> {
        let weight_decay = rate.into();
        self.set_group(|group| ParameterGroup { weight_decay, ..group })
    }

    fn set_group(&mut self, change: impl Fn(ParameterGroup) -> ParameterGroup) -> Result<()> {
        change(ParameterGroup::default()).check()?;
        for &index in &self.chosen {
            let group = &mut self.network.variables[index].group;
            *group = change(*group);
        }
        Ok(())
    }
}
