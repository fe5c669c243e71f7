//! Layers that flip, turn, zoom and move images at random in training.

use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{AffineDraw, AffineTransform, FillMode, RandomAffine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::dropout::stream;
use super::factor::{Factor, check};
use super::saved::Saved;
use super::up_sampling2d::Interpolation;
use super::{BuildError, Call, Layer};

/// Flips half of the images in training, all chosen axes at once as in Keras; outside of training `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomFlip {
    /// The axes.
    #[serde(default)]
    pub mode: FlipMode,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// The axes along which [`RandomFlip`] flips an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left to right.
    Horizontal,
    /// Upside down.
    Vertical,
    /// Both at once, which turns an image by 180 degrees.
    #[default]
    HorizontalAndVertical,
}

/// Turns each image about its middle in training, by an angle that is uniform between the bounds; outside of training
/// `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomRotation {
    /// The least and the most angle in turns of 360 degrees, each from -1 to 1; positive is counter-clockwise.
    #[serde(deserialize_with = "Factor::read")]
    pub factor: [f64; 2],
    /// The values outside of the image, by TensorFlow's rules: see [`AffineTransform`].
    #[serde(default = "reflect")]
    pub fill_mode: FillMode,
    /// The values between pixels.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// Zooms each image about its middle in training: the distance between neighbouring pixels of the result is `1 + factor`
/// pixels, with factors that are uniform between the bounds; outside of training `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomZoom {
    /// The vertical factor, above -1 and up to 1; positive makes objects smaller.
    pub height_factor: Factor,
    /// The horizontal factor; `None` for the vertical one, which keeps the aspect ratio.
    #[serde(default)]
    pub width_factor: Option<Factor>,
    /// The values outside of the image, by TensorFlow's rules: see [`AffineTransform`].
    #[serde(default = "reflect")]
    pub fill_mode: FillMode,
    /// The values between pixels.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

/// Moves each image in training, by shares of its height and width that are uniform between the bounds; outside of training
/// `y = x`.
///
/// # Shapes
/// In: `[height, width, channels]`. Out: the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomTranslation {
    /// The share of the height, -1 to 1; positive moves the image down.
    pub height_factor: Factor,
    /// The share of the width, -1 to 1; positive moves the image to the right.
    pub width_factor: Factor,
    /// The values outside of the image, by TensorFlow's rules: see [`AffineTransform`].
    #[serde(default = "reflect")]
    pub fill_mode: FillMode,
    /// The values between pixels.
    #[serde(default = "bilinear")]
    pub interpolation: Interpolation,
    /// The value of [`FillMode::Constant`].
    #[serde(default)]
    pub fill_value: f64,
    /// The layer's seed, in addition to the seed of the training; see [`Dropout::seed`](super::Dropout). The draws differ
    /// from Keras' for every seed.
    #[serde(default)]
    pub seed: Option<u64>,
}

fn reflect() -> FillMode {
    FillMode::Reflect
}

fn bilinear() -> Interpolation {
    Interpolation::Bilinear
}

/// Declares what layers have in common that compute pixels from others.
macro_rules! filled {
    ($($Layer:ident),+) => {
        $(
            impl $Layer {
                /// Sets the values outside of the image. By default, it is reflected.
                pub fn fill_mode(self, fill_mode: FillMode) -> $Layer {
                    $Layer { fill_mode, ..self }
                }

                /// Sets the values between pixels. By default, they are bilinear.
                pub fn interpolation(self, interpolation: Interpolation) -> $Layer {
                    $Layer { interpolation, ..self }
                }

                /// Sets the value of [`FillMode::Constant`].
                pub fn fill_value(self, fill_value: f64) -> $Layer {
                    $Layer { fill_value, ..self }
                }

                /// Sets the layer's seed, in addition to the seed of the training.
                pub fn seed(self, seed: u64) -> $Layer {
                    $Layer { seed: Some(seed), ..self }
                }

                fn transform(&self) -> AffineTransform {
                    AffineTransform {
                        interpolated: self.interpolation == Interpolation::Bilinear,
                        fill_mode: self.fill_mode,
                        fill_value: self.fill_value as f32,
                    }
                }
            }
        )+
    };
}

filled!(RandomRotation, RandomZoom, RandomTranslation);

impl RandomFlip {
    /// A layer that flips half of the images along these axes.
    pub fn new(mode: FlipMode) -> RandomFlip {
        RandomFlip { mode, seed: None }
    }

    /// Sets the layer's seed, in addition to the seed of the training.
    pub fn seed(self, seed: u64) -> RandomFlip {
        RandomFlip { seed: Some(seed), ..self }
    }
}

impl Default for RandomFlip {
    /// Keras' default: both axes at once.
    fn default() -> RandomFlip {
        RandomFlip::new(FlipMode::default())
    }
}

impl RandomRotation {
    /// A layer that turns images by up to this share of 360 degrees in either direction, or between two shares.
    pub fn new(factor: impl Into<Factor>) -> RandomRotation {
        RandomRotation {
            factor: factor.into().range(),
            fill_mode: reflect(),
            interpolation: bilinear(),
            fill_value: 0.0,
            seed: None,
        }
    }
}

impl RandomZoom {
    /// A layer that zooms images by this factor, or between two factors, and keeps their aspect ratio.
    pub fn new(height_factor: impl Into<Factor>) -> RandomZoom {
        RandomZoom {
            height_factor: height_factor.into(),
            width_factor: None,
            fill_mode: reflect(),
            interpolation: bilinear(),
            fill_value: 0.0,
            seed: None,
        }
    }

    /// Sets the horizontal factor, which is drawn apart from the vertical one.
    pub fn width_factor(self, width_factor: impl Into<Factor>) -> RandomZoom {
        RandomZoom { width_factor: Some(width_factor.into()), ..self }
    }
}

impl RandomTranslation {
    /// A layer that moves images by up to these shares of their height and width in either direction, or between two
    /// shares.
    pub fn new(height_factor: impl Into<Factor>, width_factor: impl Into<Factor>) -> RandomTranslation {
        RandomTranslation {
            height_factor: height_factor.into(),
            width_factor: width_factor.into(),
            fill_mode: reflect(),
            interpolation: bilinear(),
            fill_value: 0.0,
            seed: None,
        }
    }
}

/// The shape of images, the same after a layer as before.
pub(super) fn images(input: &Shape) -> std::result::Result<Shape, BuildError> {
    match input.len() == 3 && input.elements() > 0 {
        true => Ok(input.clone()),
        false => Err(BuildError::input("an input [height, width, channels]")),
    }
}

/// Transforms the input at random, in training.
fn transformed(
    call: &mut Call<'_>,
    random: RandomAffine,
    seed: Option<u64>,
    transform: AffineTransform,
) -> Result<Tensor> {
    let x = call.input();
    if !call.training() {
        return Ok(x);
    }
    let [images, height, width, _] = call.shape(x).dims().unwrap_or_default();
    let draw = AffineDraw { images, size: [height, width], random, stream: stream(call, seed) };
    let maps = call.add(draw, &[])?;
    call.add(transform, &[x, maps])
}

fn f32s([low, high]: [f64; 2], offset: f64) -> [f32; 2] {
    [(low + offset) as f32, (high + offset) as f32]
}

impl Layer for RandomFlip {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let random = RandomAffine::Flip {
            vertical: self.mode != FlipMode::Horizontal,
            horizontal: self.mode != FlipMode::Vertical,
        };
        let transform = AffineTransform { interpolated: false, fill_mode: FillMode::Nearest, fill_value: 0.0 };
        transformed(call, random, self.seed, transform)
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Layer for RandomRotation {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        check("factor", self.factor)?;
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let random = RandomAffine::Rotation { turns: f32s(self.factor, 0.0) };
        transformed(call, random, self.seed, self.transform())
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Layer for RandomZoom {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        for (argument, factor) in [("height_factor", Some(self.height_factor)), ("width_factor", self.width_factor)] {
            let Some(factor) = factor else { continue };
            check(argument, factor.range())?;
            if matches!(factor, Factor::Between(bounds) if bounds.contains(&-1.0)) {
                return Err(BuildError::argument(argument, "factors above -1", -1.0));
            }
        }
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let random = RandomAffine::Zoom {
            vertical: f32s(self.height_factor.range(), 1.0),
            horizontal: self.width_factor.map(|factor| f32s(factor.range(), 1.0)),
        };
        transformed(call, random, self.seed, self.transform())
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Layer for RandomTranslation {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        check("height_factor", self.height_factor.range())?;
        check("width_factor", self.width_factor.range())?;
        images(input)
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let [vertical, horizontal] = [self.height_factor, self.width_factor].map(|factor| f32s(factor.range(), 0.0));
        let random = RandomAffine::Translation { vertical, horizontal };
        transformed(call, random, self.seed, self.transform())
    }

    fn is_random(&self) -> bool {
        true
    }
}

/// Only channels last.
macro_rules! channels_last {
    ($($Layer:ident),+) => {
        $(
            impl Saved for $Layer {
                fn fixed() -> Value {
                    json!({"data_format": "channels_last"})
                }
            }
        )+
    };
}

channels_last!(RandomFlip, RandomRotation, RandomZoom, RandomTranslation);
