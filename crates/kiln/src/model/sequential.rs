//! A model that is a chain of layers.

use std::ops::{Deref, DerefMut};

use kiln_graph::Shape;

use super::Model;
use crate::layers::Named;
use crate::network::{ModelClass, Network};

/// A chain of layers: what one gives, the next takes. It has all that a [`Model`] has.
///
/// # Example
/// ```
/// use kiln::Sequential;
/// use kiln::layers::{ActivationFunction, Conv2D, Dense, Flatten, Function, MaxPooling2D};
///
/// let mut model = Sequential::new([28, 28, 1]);
/// model
///     .add(Conv2D::new(8, [3, 3]).activation(Function::Relu))
///     .add(MaxPooling2D::new([2, 2]))
///     .add(Flatten)
///     .add(Dense::new(10).activation(ActivationFunction::Softmax));
/// assert_eq!(model.output_shape()?, &[10].into());
/// println!("{}", model.summary());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Sequential(Model);

impl Sequential {
    /// A model without layers that takes samples of this shape, images as `[height, width, channels]`.
    pub fn new(input_shape: impl Into<Shape>) -> Sequential {
        Sequential(Model::of(Network::new(ModelClass::Sequential, input_shape.into())))
    }

    /// The model under this name, without which it is `sequential`.
    pub fn with_name(self, name: impl Into<String>) -> Sequential {
        Sequential(self.0.with_name(name))
    }

    /// Appends a layer, or one with a name: `Flatten` or `Flatten.named("flat")`. A layer that does not fit is reported
    /// when the model is used, and shown by [`Model::summary`].
    pub fn add(&mut self, layer: impl Into<Named>) -> &mut Sequential {
        self.0.network.push(layer.into());
        self
    }
}

impl Deref for Sequential {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for Sequential {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.0
    }
}

impl From<Sequential> for Model {
    fn from(model: Sequential) -> Model {
        model.0
    }
}
