//! Layers and variables as part of a network.

use std::ops::Range;
use std::sync::Arc;

use kiln_graph::Shape;

use super::Node;
use crate::layers::{Initializer, Layer, Regularizer};
use crate::optimizers::ParameterGroup;

/// A layer of a network.
#[derive(Clone, Debug)]
pub(crate) struct PlacedLayer {
    pub name: String,
    pub layer: Arc<dyn Layer>,
    /// Its inputs.
    pub inputs: Vec<Node>,
    /// The input and output shapes for one sample; unknown after an invalid layer.
    pub shapes: Option<(Vec<Shape>, Shape)>,
    /// The indices of its variables in the network.
    pub variables: Range<usize>,
    /// Whether training changes its variables.
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
    /// The index of its layer.
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
