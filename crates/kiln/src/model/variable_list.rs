//! Selections of variables: parameter groups with their own learning rate factor and weight decay.

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
    /// Its shape.
    pub shape: &'a Shape,
    /// Whether training changes it.
    pub trainable: bool,
    /// The factor of its learning rate, 1 by default.
    pub learning_rate_factor: f64,
    /// The rate of its weight decay; `None`, the default, for the optimizer's.
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

/// A selection of a model's variables: see [`LayerList::variables`](crate::LayerList::variables).
#[derive(Debug)]
pub struct VariableList<'a> {
    network: &'a mut Network,
    /// Their indices among all variables.
    chosen: Vec<usize>,
}

impl<'a> VariableList<'a> {
    pub(super) fn new(network: &'a mut Network, chosen: Vec<usize>) -> VariableList<'a> {
        VariableList { network, chosen }
    }

    /// Iterates over the variables.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = VariableInfo<'_>> {
        self.chosen.iter().map(|&index| VariableInfo::new(self.network, index))
    }

    /// Multiplies their learning rate by a factor, 0 or more, from the next [`Model::compile`](crate::Model::compile) on:
    /// discriminative fine-tuning (Howard and Ruder 2018). The optimizer's update of a variable, including weight decay, is
    /// multiplied by the factor. Since the updates of all built-in optimizers are proportional to the learning rate, this
    /// is exactly the optimizer with that learning rate.
    ///
    /// Model files save it under a key of Kiln's that Keras ignores. Loading a checkpoint with other factors is an error.
    ///
    /// # Errors
    /// If the factor is negative or not finite.
    pub fn set_learning_rate_factor(&mut self, factor: f64) -> Result<()> {
        self.set_group(|group| ParameterGroup { learning_rate_factor: factor, ..group })
    }

    /// Overrides the rate of the optimizer's [`WeightDecay`](crate::optimizers::WeightDecay) for them, from the next
    /// [`Model::compile`](crate::Model::compile) on; `None` restores the optimizer's. Variables that the optimizer's weight
    /// decay excludes by name, such as all biases, never decay.
    ///
    /// Model files save it under a key of Kiln's that Keras ignores. Loading a checkpoint with other rates is an error.
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
