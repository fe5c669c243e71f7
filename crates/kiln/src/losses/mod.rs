//! Losses: measures of the error of a model's outputs. Training minimises their mean over the samples.
//!
//! Built-in losses only implement [`Loss`]; so can your own, see the trait's example.

use std::fmt::{self, Debug};
use std::sync::Arc;

use kiln_graph::{Graph, Shape, Tensor};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::arguments::from_arguments;
use crate::data::Labels;
use crate::{Error, PerOutput, Result};

mod call;

pub use call::LossCall;
pub(crate) use call::soft_targets;

/// Declares the losses: file, struct and Keras' short names of each. The file name is the loss's name.
macro_rules! losses {
    ($($file:ident::$Loss:ident $($short:literal)*;)*) => {
        $(
            mod $file;
            pub use $file::$Loss;

            impl From<$Loss> for Arc<dyn Loss> {
                fn from(loss: $Loss) -> Arc<dyn Loss> {
                    Arc::new(loss)
                }
            }

            impl From<$Loss> for PerOutput<Arc<dyn Loss>> {
                fn from(loss: $Loss) -> PerOutput<Arc<dyn Loss>> {
                    PerOutput::Each(Arc::new(loss))
                }
            }
        )*

        /// All built-in losses.
        const KNOWN: &[Known] = &[$(
            Known { name: stringify!($file), others: &[stringify!($Loss), $($short),*], read: read::<$Loss> }
        ),*];
    };
}

losses! {
    binary_crossentropy::BinaryCrossentropy "bce" "BCE";
    categorical_crossentropy::CategoricalCrossentropy;
    mean_absolute_error::MeanAbsoluteError "mae" "MAE";
    mean_squared_error::MeanSquaredError "mse" "MSE";
    sparse_categorical_crossentropy::SparseCategoricalCrossentropy;
}

/// A loss: a measure of the error of a model's outputs for a sample. It appends ops to the graph of a training
/// step or an evaluation; the gradient is derived from the ops.
///
/// [`Compile::loss`](crate::Compile::loss) has an `Arc<dyn Loss>` for each output: `MeanSquaredError.into()` for built-in
/// losses, `Arc::new(LogCosh).into()` for custom ones. History, evaluations, callbacks and checkpoints treat both alike.
///
/// The elementwise ops [`Unary`](crate::ops::Unary), [`Multiply`](crate::ops::Multiply), [`Divide`](crate::ops::Divide),
/// [`ScaleAdd`](crate::ops::ScaleAdd) and [`Rescale`](crate::ops::Rescale) and the sum or mean
/// [`PerSample`](crate::ops::PerSample) express most formulas.
///
/// # Example
/// The focal loss of Lin et al. (2017), `-α (1 - p)^γ log p` of the probability `p` of a sample's class, so that samples
/// that are classified well have a lower weight. The model ends in a linear layer.
/// ```
/// use std::sync::Arc;
///
/// use kiln::data::{Dataset, Labels};
/// use kiln::layers::Dense;
/// use kiln::losses::{Loss, LossCall, Outputs, Scored};
/// use kiln::ops::{Multiply, Rescale, SoftmaxCrossEntropy, Unary};
/// use kiln::{Compile, Device, Error, Fit, Sequential};
///
/// #[derive(Debug)]
/// struct FocalLoss {
///     alpha: f32,
///     gamma: f32,
/// }
///
/// impl Loss for FocalLoss {
///     fn name(&self) -> &'static str {
///         "focal_loss"
///     }
///
///     fn outputs(&self) -> Outputs {
///         Outputs::Classes
///     }
///
///     fn from_logits(&self) -> bool {
///         true
///     }
///
///     fn call(&self, call: &mut LossCall<'_>) -> kiln::Result<Scored> {
///         let (logits, labels) = (call.output(), call.labels());
///         let minus_log_p = call.add_all(SoftmaxCrossEntropy, &[logits, labels])?[0]; // f32 [N]
///         let log_p = call.add(Rescale { scale: -1.0, offset: 0.0 }, &[minus_log_p])?;
///         let p = call.add(Unary::Exp, &[log_p])?;
///         let one_minus_p = call.add(Rescale { scale: -1.0, offset: 1.0 }, &[p])?;
///         // Rounding can make this negative, and its fractional power NaN.
///         let one_minus_p = call.add(Unary::Clip { low: 0.0, high: 1.0 }, &[one_minus_p])?;
///         let weight = call.add(Unary::Power { exponent: self.gamma }, &[one_minus_p])?;
///         let product = call.add(Multiply, &[weight, log_p])?;
///         let loss = call.add(Rescale { scale: -self.alpha, offset: 0.0 }, &[product])?;
///         Ok(Scored { logits: Some(logits), ..loss.into() })
///     }
/// }
///
/// let x: Vec<f32> = (0..60).map(|i| (i % 3) as f32 - 1.0).collect();
/// let data = Dataset::from_f32([1], x, Labels::index((0..60).map(|i| i % 3).collect(), 3))?;
/// let mut model = Sequential::new([1]);
/// model.add(Dense::new(3));
/// let loss = Arc::new(FocalLoss { alpha: 0.25, gamma: 1.5 });
/// model.compile(&Device::best()?, Compile { loss: loss.clone().into(), ..Compile::default() })?;
/// let history = model.fit(&data, Fit { epochs: 2, ..Fit::default() })?;
/// assert!(history.epochs[1].loss < history.epochs[0].loss);
///
/// // From a model without weights, every class has p = 1/3.
/// let mut zero = Sequential::new([1]);
/// zero.add(Dense::new(3).kernel_initializer(kiln::layers::Initializer::zeros()));
/// zero.compile(&Device::best()?, Compile { loss: loss.into(), ..Compile::default() })?;
/// let expected = 0.25 * (1.0 - 1.0 / 3.0f64).powf(1.5) * 3f64.ln();
/// assert!((zero.evaluate(&data)?.loss - expected).abs() < 1e-5);
/// # Ok::<(), Error>(())
/// ```
pub trait Loss: Debug + Send + Sync {
    /// Keras' name: `mean_squared_error`.
    fn name(&self) -> &'static str;

    /// The meaning of the model's outputs, which determines the applicable metrics and labels.
    fn outputs(&self) -> Outputs;

    /// Whether the model's outputs are logits instead of probabilities.
    #[expect(clippy::wrong_self_convention, reason = "Keras' name of the argument")]
    fn from_logits(&self) -> bool {
        false
    }

    /// The arguments of Keras' constructor, by name. [`from_config`] reads them.
    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Checks the arguments of the loss. [`Model::compile`](crate::Model::compile) calls it.
    ///
    /// # Errors
    /// [`Error::Argument`] for an argument outside its range.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Checks labels against the shape of the model's output for one sample. By default [`check_labels`].
    ///
    /// # Errors
    /// The labels that were expected and found.
    fn check_labels(&self, output: &Shape, labels: &Labels) -> std::result::Result<(), Misfit> {
        check_labels(self.name(), self.outputs(), output, labels)
    }

    /// Appends the loss of each sample: f32 `[N]` for a batch of N samples. Weights of samples and classes are applied
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::NoSoftmax`] if the model does not end in the probabilities that the loss expects, and if an op does
    /// not accept its inputs.
    fn call(&self, call: &mut LossCall<'_>) -> Result<Scored>;
}

/// The meaning of a model's outputs to its loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// One value per class, for mutually exclusive classes: `[classes]`, two or more.
    Classes,
    /// The probabilities of any number of independent properties.
    Probabilities,
    /// Real values, for regression.
    Quantities,
}

/// The tensors that a loss computes for a batch of N samples. A tensor of losses converts into it:
/// `Ok(losses.into())`.
#[derive(Clone, Copy, Debug)]
pub struct Scored {
    /// The loss of each sample: f32 `[N]`.
    pub losses: Tensor,
    /// The logits that the loss used in place of the output, of the same shape. Metrics then use them, too, so that the
    /// softmax or sigmoid after them is not computed.
    pub logits: Option<Tensor>,
    /// 1 for each sample whose class has the largest output, else 0: f32 `[N]`. For a loss whose op computes it anyway.
    pub hits: Option<Tensor>,
}

impl From<Tensor> for Scored {
    fn from(losses: Tensor) -> Scored {
        Scored { losses, logits: None, hits: None }
    }
}

/// A mismatch between a loss and the labels or the model's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The labels that the loss expects.
    pub expected: String,
    /// The labels of the data set.
    pub found: String,
}

/// Checks labels against the shape of a model's output for one sample, as [`Loss::check_labels`] does by default:
///
/// - values: one per output;
/// - class indices: below the number of outputs, or 0 and 1 for one output; for regression, only with
///   one output.
///
/// # Errors
/// What was expected and found.
pub fn check_labels(
    loss: &'static str,
    meaning: Outputs,
    output: &Shape,
    labels: &Labels,
) -> std::result::Result<(), Misfit> {
    let outputs = output.elements();
    let misfit = |expected: String, found: String| Err(Misfit { expected, found });
    if meaning == Outputs::Classes && output.len() != 1 {
        return misfit("an output [classes] for its loss".to_owned(), format!("labels, but the output is {output}"));
    }
    if meaning == Outputs::Classes && outputs == 1 {
        return misfit(
            "a loss for its one output, whose softmax is always 1: binary_crossentropy, or \
             mean_squared_error"
                .to_owned(),
            format!("labels for the loss {loss}"),
        );
    }
    match labels {
        Labels::Values { size, .. } if *size != outputs => {
            misfit(format!("{outputs} values per label"), format!("{size}"))
        }
        Labels::Values { .. } => Ok(()),
        Labels::Index { classes, .. } if outputs == 1 => match meaning {
            Outputs::Probabilities if *classes > 2 => {
                misfit("labels 0 and 1 for its one output".to_owned(), format!("{classes} classes"))
            }
            _ => Ok(()),
        },
        Labels::Index { .. } if meaning == Outputs::Quantities || output.len() != 1 => {
            misfit(format!("{outputs} values per label (loss {loss})"), "class indices".to_owned())
        }
        Labels::Index { classes, .. } if *classes > outputs => {
            misfit(format!("labels below {outputs}, its number of outputs"), format!("{classes} classes"))
        }
        Labels::Index { .. } => Ok(()),
    }
}

impl<L: Loss + 'static> From<Arc<L>> for PerOutput<Arc<dyn Loss>> {
    fn from(loss: Arc<L>) -> PerOutput<Arc<dyn Loss>> {
        PerOutput::Each(loss)
    }
}

type Read = fn(&Map<String, Value>) -> std::result::Result<Arc<dyn Loss>, String>;

/// A built-in loss.
struct Known {
    name: &'static str,
    others: &'static [&'static str],
    read: Read,
}

fn read<L: Loss + DeserializeOwned + 'static>(
    config: &Map<String, Value>,
) -> std::result::Result<Arc<dyn Loss>, String> {
    Ok(Arc::new(from_arguments::<L>(config)?))
}

/// Returns a built-in loss by any of Keras' names, with default arguments: `mean_squared_error`, `MeanSquaredError`,
/// `mse` or `MSE`.
///
/// # Errors
/// If the name is unknown, with a list of the known names.
pub fn from_name(name: &str) -> std::result::Result<Arc<dyn Loss>, String> {
    from_config(name, &Map::new())
}

/// Returns a built-in loss by any of Keras' names, with arguments as returned by [`Loss::config`]. Omitted arguments
/// have their defaults.
///
/// # Errors
/// If the name is unknown, or an argument is unknown or of another type.
pub fn from_config(name: &str, config: &Map<String, Value>) -> std::result::Result<Arc<dyn Loss>, String> {
    match KNOWN.iter().find(|known| known.name == name || known.others.contains(&name)) {
        Some(known) => (known.read)(config).map_err(|problem| format!("{}: {problem}", known.name)),
        None => {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            Err(format!("expected one of {} (short: bce, mse, mae); found `{name}`", names.join(", ")))
        }
    }
}

/// The name and the arguments that are not 0 or false: `binary_crossentropy(from_logits=true)`.
impl fmt::Display for dyn Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let unset = |value: &Value| value.is_null() || *value == Value::Bool(false) || value.as_f64() == Some(0.0);
        let config = self.config();
        let set: Vec<String> =
            config.iter().filter(|(_, value)| !unset(value)).map(|(key, value)| format!("{key}={value}")).collect();
        if set.is_empty() { Ok(()) } else { write!(f, "({})", set.join(", ")) }
    }
}

/// # Errors
/// If the label smoothing of a loss is outside its range.
fn check_smoothing(label_smoothing: f64) -> Result<()> {
    if (0.0..1.0).contains(&label_smoothing) {
        return Ok(());
    }
    let expected = "0 or more and less than 1".to_owned();
    Err(Error::Argument { name: "label_smoothing", expected, found: label_smoothing.to_string() })
}

/// Appends the loss of each sample of a batch.
///
/// # Errors
/// As [`Loss::call`], and if it did not append one value per sample.
pub(crate) fn append(loss: &dyn Loss, graph: &mut Graph, model: &str, [output, labels]: [Tensor; 2]) -> Result<Scored> {
    graph.scope("loss");
    let scored = loss.call(&mut LossCall { graph, model, output, labels })?;
    check_per_sample(graph, loss.name(), scored.losses, output)?;
    Ok(scored)
}

/// # Errors
/// If a tensor that a loss or metric appended is not f32 `[N]` for an output `[N, …]`.
pub(crate) fn check_per_sample(graph: &Graph, name: &'static str, values: Tensor, output: Tensor) -> Result<()> {
    let expected = kiln_graph::TensorType::f32([graph.shape(output)[0]]);
    if *graph.ty(values) == expected {
        return Ok(());
    }
    let expected = format!("one value per sample, {expected}");
    Err(Error::Argument { name, expected, found: graph.ty(values).to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    #[test]
    fn losses_are_found_by_kerases_names() {
        for known in KNOWN {
            let loss = from_name(known.name).unwrap();
            assert_eq!((loss.name(), loss.to_string()), (known.name, known.name.to_owned()));
            for other in known.others {
                assert_eq!(from_name(other).unwrap().name(), known.name);
            }
        }
        let names = ["bce", "BCE", "mse", "MSE", "mae", "MAE", "SparseCategoricalCrossentropy"];
        let [bce, mse, mae] = ["binary_crossentropy", "mean_squared_error", "mean_absolute_error"];
        let found = names.map(|name| from_name(name).unwrap().name());
        assert_eq!(found, [bce, bce, mse, mse, mae, mae, "sparse_categorical_crossentropy"]);
        let error = from_name("hinge").unwrap_err();
        assert!(error.contains("mean_squared_error") && error.ends_with("found `hinge`"), "{error}");
    }

    #[test]
    fn losses_read_the_arguments_that_they_write() {
        let losses: [Arc<dyn Loss>; 3] = [
            CategoricalCrossentropy { from_logits: true, label_smoothing: 0.25 }.into(),
            SparseCategoricalCrossentropy { from_logits: true }.into(),
            BinaryCrossentropy { from_logits: false, label_smoothing: 0.5 }.into(),
        ];
        for loss in &losses {
            assert_eq!(format!("{:?}", from_config(loss.name(), &loss.config()).unwrap()), format!("{loss:?}"));
        }
        let shown = losses.map(|loss| loss.to_string());
        assert_eq!(shown[0], "categorical_crossentropy(from_logits=true, label_smoothing=0.25)");
        assert_eq!(shown[2], "binary_crossentropy(label_smoothing=0.5)");
    }

    #[test]
    fn arguments_that_a_loss_does_not_have_are_named() {
        let error = |name, config: Value| from_config(name, config.as_object().unwrap()).unwrap_err();
        let sparse = error("sparse_categorical_crossentropy", json!({"label_smoothing": 0.1}));
        assert!(sparse.starts_with("sparse_categorical_crossentropy: unknown field `label_smoothing`"), "{sparse}");
        let squared = error("mse", json!({"from_logits": true}));
        assert!(squared.starts_with("mean_squared_error: unknown field `from_logits`"), "{squared}");
    }
}
