//! The type of a data set, as programs see it.

use kiln_graph::TensorType;

use super::Role;
use crate::data::{Dataset, Input, Labels, Standardization};

/// The properties of a data set that programs depend on: data sets of the same type share buffers and programs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataType {
    /// At least one.
    pub inputs: Vec<InputType>,
    /// `[capacity]` or `[capacity, classes]` for each target; none for prediction data.
    pub targets: Vec<TensorType>,
    /// Whether the samples have weights, for each target or once for all; empty without weights.
    pub weights: Vec<bool>,
}

/// The type of the samples for one input of a network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputType {
    /// `[capacity, …]`
    pub x: TensorType,
    /// A model sees `value * scale + offset`.
    pub scale: f32,
    /// A model sees `value * scale + offset`.
    pub offset: f32,
    /// The standardization after scaling.
    pub standardization: Standardization,
}

impl DataType {
    pub fn of(data: &Dataset, role: Role, capacity: usize) -> DataType {
        let input = |input: &Input| InputType {
            x: TensorType::new(input.sample_shape.batched(capacity), input.dtype()),
            scale: input.scale,
            offset: input.offset,
            standardization: input.standardization.clone(),
        };
        let is_measured = role != Role::Predict;
        let targets = data.targets().iter().filter(|_| is_measured);
        let weights = data.target_weights().filter(|_| is_measured);
        DataType {
            inputs: data.inputs().iter().map(input).collect(),
            targets: targets.map(|labels: &Labels| labels.ty(capacity)).collect(),
            weights: weights.map(|weights| weights.is_some()).collect(),
        }
    }

    /// The number of samples that fit the buffers.
    pub fn capacity(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.x.shape[0])
    }

    /// The index of a target's weights, if it has any.
    pub fn weights_of(&self, target: usize) -> Option<usize> {
        let index = if self.weights.len() == 1 { 0 } else { target };
        self.weights.get(index).is_some_and(|&is_weighted| is_weighted).then_some(index)
    }
}
