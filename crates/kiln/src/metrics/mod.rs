//! Metrics: measured in addition to the loss and averaged over the samples, ignoring sample weights.
//!
//! Built-in metrics only implement [`Metric`]; so can your own, see the trait's example.

use std::fmt::{self, Debug};
use std::sync::Arc;

use kiln_graph::{Graph, Shape, Tensor};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Result;
use crate::arguments::from_arguments;
use crate::losses::{Loss, Scored, check_per_sample};

mod call;
mod output_metric;

pub use call::MetricCall;
pub use output_metric::OutputMetric;

/// Declares the metrics: file, struct and Keras' short names of each. The file name is the metric's name.
macro_rules! metrics {
    ($($file:ident::$Metric:ident $($short:literal)*;)*) => {
        $(
            mod $file;
            pub use $file::$Metric;

            impl From<$Metric> for Arc<dyn Metric> {
                fn from(metric: $Metric) -> Arc<dyn Metric> {
                    Arc::new(metric)
                }
            }

            impl From<$Metric> for OutputMetric {
                fn from(metric: $Metric) -> OutputMetric {
                    OutputMetric { metric: Arc::new(metric), output: None }
                }
            }

            impl<N: Into<String>> From<(N, $Metric)> for OutputMetric {
                fn from((output, metric): (N, $Metric)) -> OutputMetric {
                    OutputMetric { metric: Arc::new(metric), output: Some(output.into()) }
                }
            }
        )*

        /// All built-in metrics.
        const KNOWN: &[Known] = &[$(
            Known { name: stringify!($file), others: &[stringify!($Metric), $($short),*], read: read::<$Metric> }
        ),*];
    };
}

metrics! {
    accuracy::Accuracy;
    binary_accuracy::BinaryAccuracy;
    mean_absolute_error::MeanAbsoluteError "mae" "MAE";
    mean_squared_error::MeanSquaredError "mse" "MSE";
    top_k_categorical_accuracy::TopKCategoricalAccuracy;
}

/// A metric: a value measured in addition to the loss. It appends ops to the graph of a training step or an evaluation;
/// its value for a data set is the mean over the samples.
///
/// [`Compile::metrics`](crate::Compile::metrics) are made of them: `Accuracy.into()` for built-in metrics,
/// `Arc::new(Bias).into()` for custom ones. History, evaluations and callbacks list them by name.
///
/// # Example
/// The average excess of outputs over their targets, `mean(max(y - t, 0))`:
/// ```
/// use std::sync::Arc;
///
/// use kiln::data::{Dataset, Labels};
/// use kiln::graph::Tensor;
/// use kiln::layers::{Dense, Initializer};
/// use kiln::losses::MeanSquaredError;
/// use kiln::metrics::{MeanAbsoluteError, Metric, MetricCall};
/// use kiln::ops::{Activation, Function, PerSample, ScaleAdd};
/// use kiln::{Compile, Device, Error, Sequential};
///
/// #[derive(Debug)]
/// struct Excess;
///
/// impl Metric for Excess {
///     fn name(&self) -> &'static str {
///         "excess"
///     }
///
///     fn call(&self, call: &mut MetricCall<'_>) -> kiln::Result<Tensor> {
///         let (y, t) = (call.output(), call.targets(call.output())?);
///         let difference = call.add(ScaleAdd { a: 1.0, b: -1.0 }, &[y, t])?;
///         let excess = call.add(Activation { function: Function::Relu }, &[difference])?;
///         Ok(call.add(PerSample::Mean, &[excess])?) // [N]
///     }
/// }
///
/// let data = Dataset::from_f32([1], vec![0.0; 4], Labels::values(vec![-1.0, 0.0, 1.0, -2.0], 1))?;
/// let mut model = Sequential::new([1]);
/// model.add(Dense::new(1)); // 0 for an input of 0
/// let compile = Compile {
///     loss: MeanSquaredError.into(),
///     metrics: vec![Arc::new(Excess).into(), MeanAbsoluteError.into()],
///     ..Compile::default()
/// };
/// model.compile(&Device::best()?, compile)?;
/// let score = model.evaluate(&data)?;
/// assert_eq!(score.get("excess"), Some(0.75));
/// assert_eq!(score.get("mean_absolute_error"), Some(1.0));
/// # Ok::<(), Error>(())
/// ```
pub trait Metric: Debug + Send + Sync {
    /// Keras' name: `accuracy`. Logs and histories use it.
    fn name(&self) -> &'static str;

    /// The arguments of Keras' constructor, by name. [`from_config`] reads them.
    fn config(&self) -> Map<String, Value> {
        Map::new()
    }

    /// Whether the metric applies to a loss. Otherwise it is omitted silently.
    fn applies_to(&self, loss: &dyn Loss) -> bool {
        let _ = loss;
        true
    }

    /// Checks the arguments of the metric against the loss and the shape of the model's output for one sample.
    /// [`Model::compile`](crate::Model::compile) calls it.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a mismatch.
    fn check(&self, loss: &dyn Loss, output: &Shape) -> Result<()> {
        let _ = (loss, output);
        Ok(())
    }

    /// Appends the metric of each sample: f32 `[N]` for a batch of N samples.
    ///
    /// # Errors
    /// If an op does not accept its inputs.
    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor>;
}

type Read = fn(&Map<String, Value>) -> std::result::Result<Arc<dyn Metric>, String>;

/// A built-in metric.
struct Known {
    name: &'static str,
    others: &'static [&'static str],
    read: Read,
}

fn read<M: Metric + DeserializeOwned + 'static>(
    config: &Map<String, Value>,
) -> std::result::Result<Arc<dyn Metric>, String> {
    Ok(Arc::new(from_arguments::<M>(config)?))
}

/// Returns a built-in metric by any of Keras' names (`mean_squared_error`, `MeanSquaredError`, `mse`), with arguments as
/// returned by [`Metric::config`]. Omitted arguments have their defaults.
///
/// # Errors
/// If the name is unknown, or an argument is unknown or of another type.
pub fn from_config(name: &str, config: &Map<String, Value>) -> std::result::Result<Arc<dyn Metric>, String> {
    match KNOWN.iter().find(|known| known.name == name || known.others.contains(&name)) {
        Some(known) => (known.read)(config).map_err(|problem| format!("{}: {problem}", known.name)),
        None => {
            let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
            Err(format!("expected one of {} (short: mse, mae); found `{name}`", names.join(", ")))
        }
    }
}

/// Returns a built-in metric by Keras' name, as printed by `Display`: `accuracy`, or with the value of its argument
/// `top_k_categorical_accuracy:3`.
///
/// # Errors
/// If the name is unknown, or the argument is invalid.
pub fn from_name(text: &str) -> std::result::Result<Arc<dyn Metric>, String> {
    let Some((name, value)) = text.split_once(':') else { return from_config(text, &Map::new()) };
    let mut config = from_config(name, &Map::new())?.config();
    let expected = || format!("expected {name}:K with a number of classes, found `{text}`");
    match config.values_mut().next() {
        Some(argument) => *argument = serde_json::from_str(value).map_err(|_| expected())?,
        None => return Err(format!("expected {name} without an argument, found `{text}`")),
    }
    from_config(name, &config).map_err(|_| expected())
}

/// The name, and the values of the arguments after colons: `top_k_categorical_accuracy:5`.
impl fmt::Display for dyn Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.config().values().try_for_each(|value| write!(f, ":{value}"))
    }
}

/// Names of figures. One that occurs again has a number behind it.
pub(crate) fn numbered(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for name in names {
        let free = (1..).map(|n| format!("{name}_{n}")).find(|numbered| !known.contains(numbered));
        known.push(if known.contains(&name) { free.unwrap_or_default() } else { name });
    }
    known
}

/// Appends metrics of each sample, in their order.
///
/// # Errors
/// When a metric does not fit the outputs, or computes anything but a value per sample.
pub(crate) fn append(
    metrics: &[Arc<dyn Metric>],
    loss: &dyn Loss,
    graph: &mut Graph,
    scored: &Scored,
    [output, labels]: [Tensor; 2],
) -> Result<Vec<Tensor>> {
    graph.scope("metrics");
    let mut values = Vec::new();
    for metric in metrics {
        let mut call = MetricCall { graph, loss, output, labels, scored };
        let value = metric.call(&mut call)?;
        check_per_sample(graph, metric.name(), value, output)?;
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn metrics_are_found_by_what_they_print() {
        let debug = |text: &str| format!("{:?}", from_name(text).unwrap());
        for known in KNOWN {
            let metric = from_name(known.name).unwrap();
            assert_eq!(metric.name(), known.name);
            for other in known.others.iter().copied().chain([metric.to_string().as_str()]) {
                assert_eq!(debug(other), debug(known.name));
            }
        }
        for k in [1, 12] {
            let metric: Arc<dyn Metric> = TopKCategoricalAccuracy { k }.into();
            assert_eq!(metric.to_string(), format!("top_k_categorical_accuracy:{k}"));
            assert_eq!(debug(&metric.to_string()), format!("{metric:?}"));
        }
        assert_eq!(debug("top_k_categorical_accuracy"), format!("{:?}", TopKCategoricalAccuracy { k: 5 }));
        for wrong in ["", "hinge", "accuracy:3", "top_k_categorical_accuracy:x"] {
            assert!(from_name(wrong).is_err(), "{wrong}");
        }
    }
}
