//! Sequential models.

use kiln_graph::Shape;

use super::Model;
use crate::network::{ModelClass, Network};

/// Creates a [`Model`] that is a sequence of layers.
///
/// # Example
/// ```
/// use kiln::Sequential;
/// use kiln::layers::{Activation, Conv2D, Dense, Flatten, MaxPooling2D};
///
/// let mut model = Sequential::new([28, 28, 1]);
/// model
///     .add(Conv2D::new(8, [3, 3]).activation(Activation::Relu))
///     .add(MaxPooling2D::new([2, 2]))
///     .add(Flatten)
///     .add(Dense::new(10).activation(Activation::Softmax));
/// assert_eq!(model.output_shape()?, &[10].into());
/// println!("{}", model.summary());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub enum Sequential {}

impl Sequential {
    /// Creates a model without layers for samples of this shape; images are `[height, width, channels]`.
    /// [`Model::add`] appends layers. Model files save it as Keras' class Sequential, unless a layer is
    /// [applied](Model::apply) to another node than the last output.
    #[expect(clippy::new_ret_no_self, reason = "as in Keras, it is a model")]
    pub fn new(input_shape: impl Into<Shape>) -> Model {
        Model::of(Network::new(ModelClass::Sequential, input_shape.into()))
    }
}
