use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{BatchNormInference, Fill, Rescale};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::saved::Saved;
use super::{BuildError, Call, Layer};

/// `y = scale x + offset`, with one scale and offset for all values or one per channel.
///
/// # Shapes
/// Any; the output has the shape of the input. Lists have one number per element of the last axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rescaling {
    /// The factor: `1.0 / 255.0` scales an image to 0 to 1.
    pub scale: PerChannel,
    /// The offset added.
    #[serde(default)]
    pub offset: PerChannel,
}

/// One number for all values, or one per channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a list of one number for each channel")]
pub enum PerChannel {
    /// One number for all values.
    All(f64),
    /// One number per element of the last axis.
    Channels(Vec<f64>),
}

impl Default for PerChannel {
    fn default() -> PerChannel {
        PerChannel::All(0.0)
    }
}

impl From<f64> for PerChannel {
    fn from(value: f64) -> PerChannel {
        PerChannel::All(value)
    }
}

impl From<Vec<f64>> for PerChannel {
    fn from(values: Vec<f64>) -> PerChannel {
        PerChannel::Channels(values)
    }
}

impl<const N: usize> From<[f64; N]> for PerChannel {
    fn from(values: [f64; N]) -> PerChannel {
        PerChannel::Channels(values.into())
    }
}

impl PerChannel {
    pub(super) fn values(&self) -> &[f64] {
        match self {
            PerChannel::All(value) => std::slice::from_ref(value),
            PerChannel::Channels(values) => values,
        }
    }

    /// The number for all values, if there is only one.
    fn single(&self) -> Option<f32> {
        let (&first, others) = self.values().split_first()?;
        others.iter().all(|&other| other == first).then_some(first as f32)
    }

    /// Appends the numbers as a tensor `[channels]`, concatenated from one fill per run of equal numbers.
    pub(super) fn append(&self, call: &mut Call<'_>, channels: usize) -> Result<Tensor> {
        if let Some(value) = self.single() {
            return call.add(Fill { value, shape: [channels].into() }, &[]);
        }
        let runs = self.values().chunk_by(|a, b| a == b);
        let fill = |run: &[f64]| Fill { value: run[0] as f32, shape: [run.len()].into() };
        let parts: Result<Vec<Tensor>> = runs.map(|run| call.add(fill(run), &[])).collect();
        call.add(kiln_ops::Concatenate, &parts?)
    }
}

impl Rescaling {
    /// A layer that multiplies all values by one factor, or each channel by its own, with offset 0.
    pub fn new(scale: impl Into<PerChannel>) -> Rescaling {
        Rescaling { scale: scale.into(), offset: PerChannel::default() }
    }

    /// Sets the offset of all values or of each channel.
    pub fn offset(self, offset: impl Into<PerChannel>) -> Rescaling {
        Rescaling { offset: offset.into(), ..self }
    }
}

impl Layer for Rescaling {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let channels = input.last().copied().unwrap_or(1);
        for (name, factors) in [("scale", &self.scale), ("offset", &self.offset)] {
            let count = factors.values().len();
            if count != 1 && count != channels {
                let expected = format!("an input of {count} channels, as many as {name} has numbers");
                return Err(BuildError::input(expected));
            }
        }
        Ok(input.clone())
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        if let (Some(scale), Some(offset)) = (self.scale.single(), self.offset.single()) {
            return call.add(Rescale { scale, offset }, &[call.input()]);
        }
        // gamma (x - 0) / sqrt(1 + 0) + beta
        let channels = call.shape(call.input()).last().copied().unwrap_or(1);
        let [mean, variance] = [0.0, 1.0].map(PerChannel::All);
        let mut inputs = vec![call.input()];
        for numbers in [&mean, &variance, &self.scale, &self.offset] {
            inputs.push(numbers.append(call, channels)?);
        }
        call.add(BatchNormInference { epsilon: 0.0, scale: true, center: true }, &inputs)
    }
}

impl Saved for Rescaling {
    fn fixed() -> Value {
        json!({})
    }
}
