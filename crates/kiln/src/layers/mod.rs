//! Layers. A layer defines its maths and nothing else; the model manages devices, variables and training.
//!
//! Shapes are those of one sample, without the batch axis.

use std::fmt::Debug;
use std::sync::Arc;

use kiln_graph::{Graph, Op, Result, Shape, Tensor};
use serde_json::{Map, Value};

use crate::graph_methods::graph_methods;

mod axes;
mod build_error;
mod convolution;
mod factor;
mod registry;
mod saved;
mod sequence;

/// The package of Keras' own classes.
const KERAS: &str = "keras";
/// The module of Keras' layers.
const KERAS_LAYERS: &str = "keras.layers";
/// Keras' default package of custom classes.
const CUSTOM: &str = "Custom";

/// Implements the naming and serialisation part of [`Layer`] for Kiln's layers.
macro_rules! saved_layer {
    () => {
        fn class_name(&self) -> &'static str {
            <Self as crate::layers::SavedLayer>::CLASS_NAME
        }

        fn package(&self) -> &'static str {
            <Self as crate::layers::SavedLayer>::PACKAGE
        }

        fn config(&self) -> serde_json::Map<String, serde_json::Value> {
            crate::layers::saved::to_config(self)
        }

        fn has_build_config(&self) -> bool {
            <Self as crate::layers::saved::Saved>::HAS_BUILD_CONFIG
        }

        fn module(&self) -> &'static str {
            <Self as crate::layers::saved::Saved>::MODULE
        }
    };
}

/// Declares the methods that set a layer's constraints.
macro_rules! constraint_methods {
    ($Layer:ident: $($constraint:ident of $variable:literal),+) => {
        impl $Layer {
            $(
                #[doc = concat!("Sets the constraint of the ", $variable, ".")]
                pub fn $constraint(self, $constraint: crate::constraints::Constraint) -> $Layer {
                    $Layer { $constraint: Some($constraint), ..self }
                }
            )+
        }
    };
}

/// Declares Kiln's layers: modules, and the structs in each.
macro_rules! layers {
    ($($file:ident: $($Layer:ident),+;)*) => {
        $(
            mod $file;
            $(
                pub use $file::$Layer;

                impl SavedLayer for $Layer {
                    const CLASS_NAME: &'static str = stringify!($Layer);
                    const PACKAGE: &'static str = KERAS;

                    fn from_config(config: &Map<String, Value>) -> std::result::Result<$Layer, String> {
                        saved::read_as(config)
                    }
                }
            )+
        )*

        impl Default for Registry {
            /// Kiln's layers.
            fn default() -> Registry {
                Registry::empty()$($(.with::<$Layer>())+)*
            }
        }
    };
}

layers! {
    activation: Activation;
    applications: CustomScaleLayer, LayerScale, StochasticDepth;
    average_pooling2d: AveragePooling2D;
    batch_normalization: BatchNormalization;
    concatenate: Concatenate;
    conv1d: Conv1D;
    conv2d: Conv2D;
    conv2d_transpose: Conv2DTranspose;
    cropping2d: Cropping2D;
    dense: Dense;
    depthwise_conv2d: DepthwiseConv2D;
    dropout: Dropout;
    flatten: Flatten;
    gaussian_noise: GaussianNoise;
    get_item: GetItem;
    global_pooling2d: GlobalAveragePooling2D, GlobalMaxPooling2D;
    group_normalization: GroupNormalization;
    identity: Identity;
    layer_normalization: LayerNormalization;
    max_pooling2d: MaxPooling2D;
    merge: Add, Average, Maximum, Minimum, Multiply, Subtract;
    normalization: Normalization;
    permute: Permute;
    pooling1d: AveragePooling1D, GlobalAveragePooling1D, GlobalMaxPooling1D, MaxPooling1D;
    prelu: PReLU;
    random_affine: RandomFlip, RandomRotation, RandomTranslation, RandomZoom;
    random_color: RandomBrightness, RandomContrast;
    rectifiers: ELU, LeakyReLU, ReLU;
    rescaling: Rescaling;
    reshape: Reshape;
    resizing: Resizing;
    separable_conv2d: SeparableConv2D;
    softmax: Softmax;
    spatial_dropout2d: SpatialDropout2D;
    up_sampling2d: UpSampling2D;
    zero_padding2d: ZeroPadding2D;
}

pub use get_item::Item;

pub use build_error::BuildError;
pub use conv1d::SequencePadding;
pub use factor::Factor;
pub use kiln_ops::{FillMode, Padding};
pub use random_affine::FlipMode;
pub use registry::{Registry, SavedLayer};
pub use rescaling::PerChannel;
pub use up_sampling2d::Interpolation;
pub use zero_padding2d::PaddingWidths;

pub use crate::constraints::Constraint;
pub use crate::initializers::{Distribution, FanMode, Initializer};
pub use crate::regularizers::Regularizer;

pub(crate) use registry::{is_custom, registered_name};
pub(crate) use saved::{read_as, split_config};

/// A function of tensors with trainable variables.
pub trait Layer: Debug + Send + Sync {
    /// Keras' name of the class: `Conv2D`.
    fn class_name(&self) -> &'static str;

    /// The package of the class. The name of a class in model files is `package>Class` (Keras' `registered_name`), or
    /// `Class` in the package `keras`. By default `Custom`, as in Keras' `register_keras_serializable`.
    fn package(&self) -> &'static str {
        CUSTOM
    }

    /// The output shape for one sample of this shape.
    ///
    /// # Errors
    /// If the layer does not accept such a sample, or one of its arguments is outside its range.
    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError>;

    /// The output shape for one sample of each input. By default a layer has one input.
    ///
    /// # Errors
    /// As [`Layer::output_shape`].
    fn merged_shape(&self, inputs: &[Shape]) -> std::result::Result<Shape, BuildError> {
        match inputs {
            [input] => self.output_shape(input),
            _ => Err(BuildError::input("one input")),
        }
    }

    /// The layer's variables for samples of this shape, that of its first input. Only called if [`Layer::output_shape`]
    /// supports it.
    fn variables(&self, input: &Shape) -> Vec<Variable> {
        let _ = input;
        Vec::new()
    }

    /// Appends the ops that compute the layer for a batch, and returns the output.
    ///
    /// # Errors
    /// If an op does not support the tensors.
    fn call(&self, call: &mut Call<'_>) -> Result<Tensor>;

    /// The arguments of Keras' constructor, without name and type, for model files. [`SavedLayer::from_config`] reads
    /// them.
    fn config(&self) -> Map<String, Value>;

    /// The Python module of the class in model files: by default, that of all of Keras' layers for a class in the package
    /// `keras`, else the package.
    fn module(&self) -> &'static str {
        if self.package() == KERAS { KERAS_LAYERS } else { self.package() }
    }

    /// Whether the output is random in training, as of dropout.
    fn is_random(&self) -> bool {
        false
    }

    /// Whether model files include the shape that the layer was built for, as Keras' files do for some layers.
    fn has_build_config(&self) -> bool {
        true
    }

    /// Sets the layer's name. By default, a model names it after its class as Keras does: `conv2d_1`.
    fn named(self, name: impl Into<String>) -> Named
    where
        Self: Sized + 'static,
    {
        Named { name: Some(name.into()), ..self.into() }
    }

    /// Sets whether training changes the layer's variables; by default it does. A layer that is not trainable is
    /// frozen: batch normalization then uses its moving statistics without updating them.
    fn trainable(self, trainable: bool) -> Named
    where
        Self: Sized + 'static,
    {
        Named { trainable, ..self.into() }
    }

    /// Sets whether the layer is always called as in training or always as in prediction: Keras' `layer(x,
    /// training=True)`. `Dropout::new(0.5).training(true)` also drops in predictions (Gal and Ghahramani 2016); batch
    /// normalization with `training(false)` learns gamma and beta, but uses its moving statistics without updating
    /// them.
    fn training(self, training: bool) -> Named
    where
        Self: Sized + 'static,
    {
        Named { training: Some(training), ..self.into() }
    }
}

/// A tensor that belongs to a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Keras' name within the layer: `kernel`, `bias`.
    pub name: &'static str,
    /// The extents, in elements, in Keras' layout.
    pub shape: Shape,
    /// The initializer of its values.
    pub initializer: Initializer,
    /// The penalty added to the loss in training.
    pub regularizer: Option<Regularizer>,
    /// The constraint that its values satisfy after each step.
    pub constraint: Option<Constraint>,
    /// Whether the optimizer updates it. Statistics that the layer itself updates are not trainable.
    pub trainable: bool,
}

impl Variable {
    /// A trainable variable without penalty or constraint.
    pub fn new(name: &'static str, shape: impl Into<Shape>, initializer: Initializer) -> Variable {
        Variable { name, shape: shape.into(), initializer, regularizer: None, constraint: None, trainable: true }
    }

    /// Sets the penalty.
    pub fn regularizer(self, regularizer: Option<Regularizer>) -> Variable {
        Variable { regularizer, ..self }
    }

    /// Sets the constraint.
    pub fn constraint(self, constraint: Option<Constraint>) -> Variable {
        Variable { constraint, ..self }
    }

    /// Sets whether the optimizer updates it.
    pub fn trainable(self, trainable: bool) -> Variable {
        Variable { trainable, ..self }
    }
}

/// A layer with an optional name, whether training changes its variables, and its calling mode.
#[derive(Clone, Debug)]
pub struct Named {
    pub(crate) name: Option<String>,
    pub(crate) layer: Arc<dyn Layer>,
    pub(crate) trainable: bool,
    /// Whether it is called as in training; `None` for the mode of the model.
    pub(crate) training: Option<bool>,
}

impl Named {
    /// See [`Layer::trainable`].
    pub fn trainable(self, trainable: bool) -> Named {
        Named { trainable, ..self }
    }

    /// See [`Layer::training`].
    pub fn training(self, training: bool) -> Named {
        Named { training: Some(training), ..self }
    }
}

impl<L: Layer + 'static> From<L> for Named {
    fn from(layer: L) -> Named {
        Named { name: None, layer: Arc::new(layer), trainable: true, training: None }
    }
}

/// The context of a layer's call: its inputs, variables and the graph.
#[derive(Debug)]
pub struct Call<'a> {
    pub(crate) graph: &'a mut Graph,
    pub(crate) inputs: &'a [Tensor],
    pub(crate) variables: &'a [Tensor],
    pub(crate) training: bool,
    pub(crate) trainable: bool,
    pub(crate) stream: u32,
}

impl Call<'_> {
    /// The input, a batch of samples; the first one if there are several.
    pub fn input(&self) -> Tensor {
        self.inputs[0]
    }

    /// All inputs.
    pub fn inputs(&self) -> &[Tensor] {
        self.inputs
    }

    /// The input, followed by the layer's variables in the order of [`Layer::variables`].
    pub fn input_and_variables(&self) -> Vec<Tensor> {
        [&[self.input()], self.variables].concat()
    }

    /// The layer's variables, in the order of [`Layer::variables`].
    pub fn variables(&self) -> &[Tensor] {
        self.variables
    }

    /// Whether this is a training step, not an evaluation or prediction, or the layer is [called as in
    /// one](Layer::training).
    pub fn training(&self) -> bool {
        self.training
    }

    /// Whether training changes the layer's variables: false if it is frozen.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// A number unique to this layer in the model, for ops that draw random numbers.
    pub fn stream(&self) -> u32 {
        self.stream
    }

    /// Applies an op that updates variables of the layer, such as moving statistics.
    ///
    /// # Errors
    /// If the op does not support these inputs or variables.
    pub fn update(&mut self, op: impl Op + 'static, inputs: &[Tensor], rewritten: &[Tensor]) -> Result<()> {
        self.graph.update(Arc::new(op), inputs, rewritten)
    }

    graph_methods!();
}

/// The rows and columns of windows over an image `[height, width, channels]`, and its channels, by TensorFlow's rules:
/// `ceil(n / stride)` for 'same', only whole windows for 'valid'. The window's size comes with the argument's name.
fn window_grid(
    image: &Shape,
    (argument, [height, width]): (&'static str, [usize; 2]),
    [down, right]: [usize; 2],
    padding: Padding,
) -> std::result::Result<[usize; 3], BuildError> {
    for (argument, [rows, columns]) in [(argument, [height, width]), ("strides", [down, right])] {
        if rows == 0 || columns == 0 {
            return Err(BuildError::argument(argument, "at least 1 x 1", format!("{rows} x {columns}")));
        }
    }
    let expected = |words: String| Err(BuildError::input(words));
    match (padding, image.dims()) {
        (_, None) => expected("an input [height, width, channels]".to_owned()),
        (Padding::Same, Some([h, w, c])) if h > 0 && w > 0 => Ok([h.div_ceil(down), w.div_ceil(right), c]),
        (Padding::Valid, Some([h, w, c])) if h >= height && w >= width => {
            Ok([(h - height) / down + 1, (w - width) / right + 1, c])
        }
        (Padding::Same, _) => expected("an image of at least 1 x 1".to_owned()),
        (Padding::Valid, _) => expected(format!("an image of at least {height} x {width}, or padding 'same'")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn shape_of(layer: impl Layer, input: impl Into<Shape>) -> Shape {
        layer.output_shape(&input.into()).unwrap()
    }

    fn expected_by(layer: impl Layer, input: impl Into<Shape>) -> String {
        layer.output_shape(&input.into()).unwrap_err().to_string()
    }

    #[test]
    fn windows_with_same_padding_are_one_per_stride() {
        let pool = |strides| MaxPooling2D::new([3, 2]).strides(strides).padding(Padding::Same);
        assert_eq!(shape_of(pool([1, 1]), [7, 7, 3]), Shape::from([7, 7, 3]));
        assert_eq!(shape_of(pool([2, 3]), [7, 7, 3]), Shape::from([4, 3, 3]));
        assert_eq!(shape_of(pool([9, 9]), [1, 257, 3]), Shape::from([1, 29, 3]));
    }

    #[test]
    fn windows_with_valid_padding_are_whole() {
        assert_eq!(shape_of(Conv2D::new(4, [5, 3]), [5, 3, 1]), Shape::from([1, 1, 4]));
        assert_eq!(shape_of(Conv2D::new(4, [5, 3]).strides([2, 2]), [28, 28, 1]), Shape::from([12, 13, 4]));
        assert_eq!(shape_of(AveragePooling2D::new([2, 2]), [7, 7, 9]), Shape::from([3, 3, 9]));
    }

    #[test]
    fn windows_that_do_not_fit_say_what_is_expected() {
        assert_eq!(
            expected_by(Conv2D::new(4, [5, 5]), [4, 9, 1]),
            "expected an image of at least 5 x 5, or padding 'same'"
        );
        assert_eq!(expected_by(MaxPooling2D::new([2, 2]), [784]), "expected an input [height, width, channels]");
        let found = expected_by(MaxPooling2D::new([2, 0]), [4, 4, 1]);
        assert_eq!(found, "pool_size: expected at least 1 x 1, found 2 x 0");
        let found = expected_by(Conv2D::new(1, [2, 2]).strides([0, 1]), [4, 4, 1]);
        assert_eq!(found, "strides: expected at least 1 x 1, found 0 x 1");
        let found = expected_by(Conv2D::new(0, [2, 2]), [4, 4, 1]);
        assert_eq!(found, "filters: expected at least 1, found 0");
    }

    #[test]
    fn dense_works_on_the_last_axis_and_flatten_makes_one_axis() {
        assert_eq!(shape_of(Dense::new(10), [784]), Shape::from([10]));
        assert_eq!(shape_of(Dense::new(10), [7, 7, 50]), Shape::from([7, 7, 10]));
        assert_eq!(shape_of(Flatten, [7, 7, 50]), Shape::from([2450]));
        assert_eq!(expected_by(Dense::new(10), []), "expected an input [..., features]");
    }

    #[test]
    fn global_poolings_give_one_value_per_channel() {
        assert_eq!(shape_of(GlobalAveragePooling2D::new(), [7, 3, 257]), Shape::from([257]));
        assert_eq!(shape_of(GlobalMaxPooling2D::new().keepdims(true), [7, 3, 257]), Shape::from([1, 1, 257]));
        assert_eq!(expected_by(GlobalMaxPooling2D::new(), [784]), "expected an input [height, width, channels]");
    }

    #[test]
    fn padding_has_keras_three_forms() {
        assert_eq!(shape_of(ZeroPadding2D::new(1), [3, 5, 2]), Shape::from([5, 7, 2]));
        assert_eq!(shape_of(ZeroPadding2D::new([1, 2]), [3, 5, 2]), Shape::from([5, 9, 2]));
        assert_eq!(shape_of(ZeroPadding2D::new([[1, 2], [3, 4]]), [3, 5, 2]), Shape::from([6, 12, 2]));
        assert_eq!(expected_by(ZeroPadding2D::new(1), [5]), "expected an input [height, width, channels]");
    }

    #[test]
    fn arguments_that_a_layer_cannot_have_are_named() {
        let relu = ReLU::new().max_value(6.0).threshold(-0.5);
        assert_eq!(expected_by(relu, [3]), "threshold: expected 0 or more, found -0.5");
        assert_eq!(expected_by(LeakyReLU::new(f64::NAN), [3]), "negative_slope: expected 0 or more, found NaN");
        assert_eq!(expected_by(ELU::new(-1.0), [3]), "alpha: expected 0 or more, found -1");
    }

    #[test]
    fn kernels_have_keras_layouts() {
        let shapes = |layer: &dyn Layer, input: Shape| -> Vec<Shape> {
            layer.variables(&input).into_iter().map(|variable| variable.shape).collect()
        };
        let conv = Conv2D::new(20, [5, 3]);
        assert_eq!(shapes(&conv, Shape::from([28, 28, 7])), [Shape::from([5, 3, 7, 20]), Shape::from([20])]);
        let grouped = Conv2D::new(20, [5, 3]).groups(2);
        assert_eq!(shapes(&grouped, Shape::from([28, 28, 8])), [Shape::from([5, 3, 4, 20]), Shape::from([20])]);
        let depthwise = DepthwiseConv2D::new([5, 3]).depth_multiplier(2);
        assert_eq!(shapes(&depthwise, Shape::from([9, 9, 7])), [Shape::from([5, 3, 7, 2]), Shape::from([14])]);
        let separable = SeparableConv2D::new(4, [5, 3]).depth_multiplier(2).use_bias(false);
        let kernels = [Shape::from([5, 3, 7, 2]), Shape::from([1, 1, 14, 4])];
        assert_eq!(shapes(&separable, Shape::from([9, 9, 7])), kernels);
        let transposed = Conv2DTranspose::new(4, [5, 3]);
        assert_eq!(shapes(&transposed, Shape::from([9, 9, 7])), [Shape::from([5, 3, 4, 7]), Shape::from([4])]);
        assert_eq!(shapes(&Dense::new(10), Shape::from([84])), [Shape::from([84, 10]), Shape::from([10])]);
        assert_eq!(shapes(&Dense::new(10).use_bias(false), Shape::from([84])), [Shape::from([84, 10])]);
    }
}
