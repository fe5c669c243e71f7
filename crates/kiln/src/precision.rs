//! The precision of a model's computations.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use kiln_graph::Op;
use kiln_ops::ToF16;
use serde::{Deserialize, Serialize};

use crate::UnknownName;

/// The precision of a model's matrix products and convolutions: [`Compile::precision`](crate::Compile::precision).
///
/// # Mixed precision
///
/// With [`Precision::Mixed`], both factors of every matrix product and convolution are 16-bit floats (IEEE binary16: 11
/// significant bits, at most 65,504): the input and the kernel of [`Dense`](crate::layers::Dense),
/// [`Conv2D`](crate::layers::Conv2D) and layers of your own that use their ops, and in the backward pass the gradient of
/// their output. They are rounded to nearest, ties to even, once for all products that use them, and are stored in 2 bytes.
/// The backward pass of an activation function uses its output in this form, too, if a product does: the slope is that at the
/// rounded output (except for gelu's and swish's).
///
/// Everything else is as in [`Precision::Float32`]: the sums of a product and its result, biases, all other layers, the loss
/// and metrics, preprocessing and augmentation, the gradients of variables, the variables themselves and the optimizer's
/// state.
///
/// 16-bit floats are stored and rounded without arithmetic in f16, so every device runs mixed precision, also those
/// without WebGPU's `shader-f16`. The processor widens them again before each product, and then computes as in
/// [`Precision::Float32`], with the same [`Algorithms`](crate::Algorithms): a convolution of the rounded factors may be
/// computed by minimal filtering, in 32-bit floats throughout. Results differ from those of [`Precision::Float32`] by the
/// rounding, and are as reproducible: they do not depend on tiles, tuning or threads.
///
/// Values above 65,504 become infinite. In the forward pass, this makes the loss infinite or NaN, which is an error of
/// [`fit`](crate::Model::fit) as in any precision: scale the samples, or normalize. In the backward pass, gradients are
/// kept within range by the loss scale ([`LossScale`]).
///
/// ```
/// use kiln::data::{Dataset, Labels};
/// use kiln::layers::{Activation, Dense};
/// use kiln::losses::MeanSquaredError;
/// use kiln::{Compile, Device, Fit, Precision, Sequential};
///
/// let mut model = Sequential::new([2]);
/// model.add(Dense::new(8).activation(Activation::Tanh));
/// model.add(Dense::new(1));
/// let compile = Compile { loss: MeanSquaredError.into(), metrics: vec![], ..Compile::default() };
/// model.compile(&Device::cpu()?, Compile { precision: Precision::Mixed, ..compile })?;
/// let labels = Labels::values(vec![0.0, 1.0, 1.0, 0.0], 1);
/// let data = Dataset::from_f32([2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], labels)?;
/// model.fit(&data, Fit { epochs: 2, ..Fit::default() })?;
/// let scale = model.loss_scale()?.expect("mixed precision has a loss scale");
/// assert_eq!((scale.scale, scale.skipped_steps), (32_768.0, 0));
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    Float32,
    /// Factors of products in 16-bit floats, sums and everything else in 32-bit floats.
    Mixed,
}

impl Precision {
    /// All precisions.
    pub const ALL: [Precision; 2] = [Precision::Float32, Precision::Mixed];

    /// Its name in files and on the command line: `float32` or `mixed`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Mixed => "mixed",
        }
    }

    /// The op that converts the factors of products, if any.
    pub(crate) fn cast(self) -> Option<Arc<dyn Op>> {
        match self {
            Precision::Float32 => None,
            Precision::Mixed => Some(Arc::new(ToF16)),
        }
    }

    /// Whether the loss is scaled in the backward pass.
    pub(crate) fn scales_loss(self) -> bool {
        self == Precision::Mixed
    }
}

/// Prints as its name.
impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Precision, UnknownName> {
        let known = Precision::ALL.into_iter().find(|precision| precision.name() == name);
        known.ok_or_else(|| UnknownName::new(&Precision::ALL.map(Precision::name), name))
    }
}

/// The state of dynamic loss scaling in mixed precision ([`Precision::Mixed`]), as of Keras' `LossScaleOptimizer` with its
/// defaults.
///
/// Gradients of activations below 2^-25 would round to 0 in 16-bit floats, so the backward pass starts from the loss times
/// `scale`, and the gradients of variables are divided by it. If one of them is not finite, the whole step is skipped:
/// weights and the optimizer's state stay as they are, and the scale halves. After 2,000 finite steps in a row it doubles.
/// The scale is a power of two from 2^-126 to 2^126, so scaling alone rounds nothing.
///
/// A skipped step counts as a step for learning rate schedules, Adam's and Nadam's bias correction and the weights' moving
/// average. The state is on the device, so no step waits for it, and it is part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    /// The factor of the loss in the next step: initially 2^15.
    pub scale: f32,
    /// The number of steps with finite gradients since the scale last changed.
    pub finite_steps: u32,
    /// The number of skipped steps since [`compile`](crate::Model::compile).
    pub skipped_steps: u32,
}

impl Default for LossScale {
    fn default() -> LossScale {
        LossScale { scale: 32_768.0, finite_steps: 0, skipped_steps: 0 }
    }
}
