//! Layers and variables in their places.

use std::ops::Range;
use std::sync::Arc;

use kiln_graph::Shape;

use super::Node;
use crate::layers::{Initializer, Layer, Regularizer};
use crate::optimizers::ParameterGroup;

/// A layer in its place.
#[derive(Clone, Debug)]
pub(crate) struct PlacedLayer {
    pub name: String,
    pub layer: Arc<dyn Layer>,
    /// What it takes.
    pub inputs: Vec<Node>,
    /// The shapes of one sample going in and coming out, unknown behind a layer that does not fit.
    pub shapes: Option<(Vec<Shape>, Shape)>,
    /// Which of the network's variables it has.
    pub variables: Range<usize>,
    /// Whether training changes them.
    pub trainable: bool,
    /// Whether the layer is called as in a training step; as the network is, if nothing is said.
    pub training: Option<bool>,
}

/// A variable in its place.
#[derive(Clone, Debug)]
pub(crate) struct PlacedVariable {
    /// `layer/variable`.
    pub name: String,
    pub shape: Shape,
    pub initializer: Initializer,
    /// What training adds to the loss for its values.
    pub regularizer: Option<Regularizer>,
    /// Which layer it belongs to.
    pub layer: usize,
    /// Whether the optimizer may change it.
    pub trainable: bool,
    /// How fast it learns and decays.
    pub group: ParameterGroup,
    /// Where it starts among the values of all variables, one after the other.
    pub start: usize,
}

impl PlacedVariable {
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.shape.elements()
    }
}
