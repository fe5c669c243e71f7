use kiln_graph::{Result, Shape, Tensor};
use kiln_ops::{BatchNormInference, Fill, Unary};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::rescaling::PerChannel;
use super::saved::Saved;
use super::{BuildError, Call, Initializer, Layer, Variable, axes};

/// The smallest standard deviation.
const EPSILON: f32 = 1e-7;

/// `y = (x - mean) / max(sqrt(variance), 1e-7)`, with given means and variances along some axes; inverted, `y = mean + x
/// max(sqrt(variance), 1e-7)`. Training does not change them: they are arguments, or weights of a file that Keras' `adapt`
/// computed.
///
/// # Shapes
/// Any with these axes; the output has the shape of the input. Variables, unless mean and variance are arguments, with the
/// extents of the axes: `mean`, `variance`; and `count`, a number that is always 0 (as in Keras).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// The axes with a mean and variance for each place, counting the batch as axis 0; -1 is the last one. Without any,
    /// there is one for all values.
    #[serde(default = "last", deserialize_with = "axes::read")]
    pub axis: Vec<i64>,
    /// Whether the layer reverses a normalization.
    #[serde(default)]
    pub invert: bool,
    /// The means, if they are no variable: one for all values, or one for each place along the last of the axes or along all
    /// of them.
    #[serde(default)]
    pub mean: Option<PerChannel>,
    /// The variances, as many as means.
    #[serde(default)]
    pub variance: Option<PerChannel>,
}

impl Normalization {
    /// A layer with mean and variance of each channel as variables, to be loaded from a file.
    pub fn new() -> Normalization {
        Normalization::default()
    }

    /// A layer with these means and variances: one of each for all values, or one for each channel.
    pub fn of(mean: impl Into<PerChannel>, variance: impl Into<PerChannel>) -> Normalization {
        Normalization { mean: Some(mean.into()), variance: Some(variance.into()), ..Normalization::default() }
    }

    /// Sets the axes with a mean and variance for each place, counting the batch as axis 0; -1 is the last one.
    pub fn axis(self, axis: impl Into<Vec<i64>>) -> Normalization {
        Normalization { axis: axis.into(), ..self }
    }

    /// Sets whether the layer reverses a normalization.
    pub fn invert(self, invert: bool) -> Normalization {
        Normalization { invert, ..self }
    }

    fn places(&self, input: &Shape) -> std::result::Result<Vec<usize>, BuildError> {
        axes::places("axis", &self.axis, input)
    }
}

impl Default for Normalization {
    /// Keras' defaults: a mean and a variance for each place along the last axis, as variables.
    fn default() -> Normalization {
        Normalization { axis: last(), invert: false, mean: None, variance: None }
    }
}

fn last() -> Vec<i64> {
    vec![-1]
}

/// Appends numbers as a tensor `[width]`, repeated as often as needed.
fn append(call: &mut Call<'_>, numbers: &PerChannel, width: usize) -> Result<Tensor> {
    let repeated = match numbers {
        PerChannel::Channels(values) if values.len() < width => values.iter().copied().cycle().take(width).collect(),
        _ => return numbers.append(call, width),
    };
    PerChannel::Channels(repeated).append(call, width)
}

impl Layer for Normalization {
    saved_layer!();

    fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
        let extents = axes::extents(&self.places(input)?, input);
        let (Some(mean), Some(variance)) = (&self.mean, &self.variance) else {
            return match (&self.mean, &self.variance) {
                (None, None) => Ok(input.clone()),
                (None, Some(_)) => Err(BuildError::argument("mean", "as many as variances, or no variance", "none")),
                (Some(_), _) => Err(BuildError::argument("variance", "as many as means, or no mean", "none")),
            };
        };
        let [means, variances] = [mean, variance].map(|numbers| numbers.values().len());
        if means != 1 && Some(&means) != extents.last() {
            let expected = format!("one number, or one for each place along the last of the axes {extents:?}");
            return Err(BuildError::argument("mean", expected, format!("{means} numbers")));
        }
        match means == variances {
            true => Ok(input.clone()),
            false => {
                let expected = format!("as many numbers as mean, {means}");
                Err(BuildError::argument("variance", expected, format!("{variances} numbers")))
            }
        }
    }

    fn variables(&self, input: &Shape) -> Vec<Variable> {
        if self.mean.is_some() {
            return Vec::new();
        }
        let extents = Shape::from(axes::extents(&self.places(input).unwrap_or_default(), input));
        let variables = [
            ("mean", extents.clone(), Initializer::zeros()),
            ("variance", extents, Initializer::ones()),
            ("count", Shape::default(), Initializer::zeros()),
        ];
        let variable = |(name, shape, initializer)| Variable::new(name, shape, initializer).trainable(false);
        variables.map(variable).into()
    }

    fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
        let places = self.places(&call.shape(call.input()).sample()).unwrap_or_default();
        axes::along(call, &places, |call, x| {
            let width = call.shape(x).last().copied().unwrap_or(1);
            let [mean, variance] = match (&self.mean, &self.variance, call.variables()) {
                (Some(mean), Some(variance), _) => [append(call, mean, width)?, append(call, variance, width)?],
                (_, _, &[mean, variance, ..]) => [call.reshape(mean, [width])?, call.reshape(variance, [width])?],
                _ => return Ok(x),
            };
            let deviation = call.add(Unary::Sqrt, &[variance])?;
            let deviation = call.add(Unary::Clip { low: EPSILON, high: f32::INFINITY }, &[deviation])?;
            let fill = |value| Fill { value, shape: [width].into() };
            // gamma (x - mean) / sqrt(1 + 0) + beta
            let one = call.add(fill(1.0), &[])?;
            if self.invert {
                let zero = call.add(fill(0.0), &[])?;
                let op = BatchNormInference { epsilon: 0.0, scale: true, center: true };
                return call.add(op, &[x, zero, one, deviation, mean]);
            }
            let factor = call.add(Unary::Power { exponent: -1.0 }, &[deviation])?;
            call.add(BatchNormInference { epsilon: 0.0, scale: true, center: false }, &[x, mean, one, factor])
        })
    }
}

impl Saved for Normalization {
    fn fixed() -> Value {
        json!({})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn means_and_variances_come_together_and_fit_the_axes() {
        let error = |layer: Normalization| layer.output_shape(&[4, 5, 3].into()).unwrap_err().to_string();
        let alone = Normalization { variance: None, ..Normalization::of(1.0, 2.0) };
        assert_eq!(error(alone), "variance: expected as many as means, or no mean, found none");
        let expected =
            "mean: expected one number, or one for each place along the last of the axes [3], found 2 numbers";
        assert_eq!(error(Normalization::of([1.0, 2.0], [1.0, 2.0])), expected);
        let expected = "variance: expected as many numbers as mean, 3, found 1 numbers";
        assert_eq!(error(Normalization::of([1.0, 2.0, 3.0], 2.0)), expected);
        let three = [1.0, 2.0, 3.0];
        assert!(Normalization::of(three, three).axis([1, -1]).output_shape(&[4, 5, 3].into()).is_ok());
    }

    #[test]
    fn variables_are_those_of_keras() {
        let variables = Normalization::new().axis([2, -1]).variables(&[4, 5, 3].into());
        let named: Vec<(&str, &[usize])> = variables.iter().map(|v| (v.name, &v.shape[..])).collect();
        assert_eq!(named, [("mean", &[5, 3][..]), ("variance", &[5, 3]), ("count", &[])]);
        assert!(variables.iter().all(|variable| !variable.trainable));
        assert!(Normalization::of(0.0, 1.0).variables(&[4, 5, 3].into()).is_empty());
    }
}
