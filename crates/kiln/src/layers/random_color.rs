//! Layers that change the values of images at random in training.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{Binary, GlobalAvgPool2d, Unary, UniformDraw};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::dropout::stream;
use super::factor::{Factor, check};
use super::random_affine::images;
use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = clip((x - mean) c + mean)` in training, with the mean of each channel of an image, a factor `c` that is uniform
/// between `1 - factor[0]` and `1 + factor[1]` for each image, and values clipped to `value_range`; outside of training
/// `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomContrast {
    /// By how much the factor is below 1 at most, and by how much above. As in Keras, one number `f` stands for `[0, f]`,
    /// which only increases contrast, and two numbers are sorted.
    #[serde(deserialize_with = "contrast")]
    pub factor: [f64; 2],
    /// The least and the most value of an image, to which the result is clipped.
    #[serde(default = "bytes")]
    pub value_range: [f64; 2],
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// `y = clip(x + b (value_range[1] - value_range[0]))` in training, with `b` uniform between the bounds of `factor` for each
/// image, and values clipped to `value_range`; outside of training `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomBrightness {
    /// The least and the most change, each from -1 (black) to 1 (white).
    #[serde(deserialize_with = "Factor::read")]
    pub factor: [f64; 2],
    /// The least and the most value of an image, to which the result is clipped.
    #[serde(default = "bytes", deserialize_with = "sorted")]
    pub value_range: [f64; 2],
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

fn bytes() -> [f64; 2] {
    [0.0, 255.0]
}

/// The bounds of a contrast.
fn of_contrast(factor: Factor) -> [f64; 2] {
    match factor {
        Factor::UpTo(factor) => [0.0, factor],
        bounds => bounds.range(),
    }
}

fn contrast<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[f64; 2], D::Error> {
    Factor::deserialize(deserializer).map(of_contrast)
}

/// Reads two numbers in either order.
fn sorted<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<[f64; 2], D::Error> {
    <[f64; 2]>::deserialize(deserializer).map(|bounds| Factor::Between(bounds).range())
}

/// Declares what both layers have in common.
macro_rules! clipped {
    ($($Layer:ident),+) => {
        $(
            impl $Layer {
                /// Sets the least and the most value of an image. By default, 0 to 255.
                pub fn value_range(self, value_range: [f64; 2]) -> $Layer {
                    $Layer { value_range, ..self }
                }

                /// Sets the layer's seed, in addition to the seed of the training.
                pub fn seed(self, seed: u64) -> $Layer {
                    $Layer { seed: Some(seed), ..self }
                }

                fn check_value_range(&self) -> std::result::Result<(), BuildError> {
                    let [low, high] = self.value_range;
                    match low <= high && low.is_finite() && high.is_finite() {
                        true => Ok(()),
                        false => {
                            let found = format!("{:?}", self.value_range);
                            Err(BuildError::argument("value_range", "the least and the most value", found))
                        }
                    }
                }
            }

            impl Saved for $Layer {
                fn fixed() -> Value {
                    json!({"data_format": "channels_last"})
                }
            }
        )+
    };
}

clipped!(RandomContrast, RandomBrightness);

impl RandomContrast {
    /// A layer that multiplies contrast by up to `1 + factor`, or between `1 - factors[0]` and `1 + factors[1]`.
    pub fn new(factor: impl Into<Factor>) -> RandomContrast {
        RandomContrast { factor: of_contrast(factor.into()), value_range: bytes(), seed: None }
    }
}

impl RandomBrightness {
    /// A layer that adds up to this share of the value range in either direction, or between two shares.
    pub fn new(factor: impl Into<Factor>) -> RandomBrightness {
        RandomBrightness { factor: factor.into().range(), value_range: bytes(), seed: None }
    }
}

/// A number between these bounds for each image, as a tensor `[N, 1, 1, 1]`.
fn drawn(call: &mut Call<'_>, seed: Option<u64>, [low, high]: [f64; 2]) -> Result<Tensor> {
    let [samples, ..] = call.shape(call.input()).dims::<4>().unwrap_or_default();
    let (stream, low, high) = (stream(call, seed), low as f32, high as f32);
    let draws = call.add(UniformDraw { samples, low, high, stream }, &[])?;
    call.reshape(draws, [samples, 1, 1, 1])
}

/// Clips values. Those that are outside of the bounds pass no gradient.
fn clip(call: &mut Call<'_>, x: Tensor, [low, high]: [f64; 2]) -> Result<Tensor> {
    call.add(Unary::Clip { low: low as f32, high: high as f32 }, &[x])
}

const PLUS: Binary = Binary::Linear { a: 1.0, b: 1.0 };
const MINUS: Binary = Binary::Linear { a: 1.0, b: -1.0 };

impl Layer for RandomContrast {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let [below, above] = self.factor;
        if !(-1.0..=above).contains(&below) || !(0.0..=1.0).contains(&above) {
            let expected = "a number from 0 to 1, or two from -1 to 1, of which one is 0 or more";
            return Err(BuildError::argument("factor", expected, format!("{:?}", self.factor)));
        }
        self.check_value_range()?;
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let x = call.input();
        if !call.training() {
            return Ok(x);
        }
        let [below, above] = self.factor;
        let factor = drawn(call, self.seed, [1.0 - below, 1.0 + above])?;
        let mean = call.add(GlobalAvgPool2d, &[x])?;
        let [images, channels] = call.shape(mean).dims().unwrap_or_default();
        let mean = call.reshape(mean, [images, 1, 1, channels])?;
        let centred = call.add(MINUS, &[x, mean])?;
        let scaled = call.add(Binary::Multiply, &[centred, factor])?;
        let y = call.add(PLUS, &[scaled, mean])?;
        clip(call, y, self.value_range)
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Layer for RandomBrightness {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        check("factor", self.factor)?;
        self.check_value_range()?;
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let x = call.input();
        if !call.training() {
            return Ok(x);
        }
        let [low, high] = self.value_range;
        let change = drawn(call, self.seed, self.factor.map(|factor| factor * (high - low)))?;
        let y = call.add(PLUS, &[x, change])?;
        clip(call, y, self.value_range)
    }

    fn is_random(&self) -> bool {
        true
    }
}
