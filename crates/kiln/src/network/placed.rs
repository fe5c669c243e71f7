//! Layers and variables at their place in a network.

use std::ops::Range;
use std::sync::Arc;

use kiln_graph::Shape;

use super::Node;
use crate::layers::{Constraint, Initializer, Layer, Regularizer};
use crate::optimizers::ParameterGroup;

/// A call of a layer. A shared layer has several, one after the other in the network's list.
#[derive(Clone, Debug)]
pub(crate) struct PlacedLayer {
    /// Unique, except for further calls of the same layer. A layer of a nested model has a path: `model/layer`.
    pub name: String,
    pub layer: Arc<dyn Layer>,
    /// The index of the layer's first call, which is this one unless the layer is shared.
    pub first: usize,
    /// Its inputs.
    pub inputs: Vec<Node>,
    /// The input and output shapes for one sample; unknown after an invalid layer.
    pub shapes: Option<(Vec<Shape>, Shape)>,
    /// The indices of its variables in the network, the same for all calls.
    pub variables: Range<usize>,
    /// Whether training changes its variables, the same for all calls.
    pub trainable: bool,
    /// The `training` argument of the call; `None` for that of the network.
    pub training: Option<bool>,
}

/// A variable of a network.
#[derive(Clone, Debug)]
pub(crate) struct PlacedVariable {
    /// `layer/variable`.
    pub name: String,
    pub shape: Shape,
    pub initializer: Initializer,
    /// The regularizer, which adds a penalty to the loss.
    pub regularizer: Option<Regularizer>,
    /// The constraint, which is applied after each step.
    pub constraint: Option<Constraint>,
    /// The index of its layer, at its first call.
    pub layer: usize,
    /// Whether the optimizer may change it.
    pub trainable: bool,
    /// Its learning rate factor and weight decay.
    pub group: ParameterGroup,
    /// Its offset in the concatenated values of all variables.
    pub start: usize,
}

impl PlacedVariable {
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.shape.elements()
    }
}
