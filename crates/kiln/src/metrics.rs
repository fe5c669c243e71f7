//! Metrics: what is measured beside the loss.

use std::fmt;
use std::str::FromStr;

use kiln_graph::{Graph, Tensor};
use kiln_ops::{Distance, MeanLoss, TopK};

use crate::compile::Compile;
use crate::losses::{Loss, Scored, soft_targets};
use crate::network::Network;
use crate::{Error, Result};

/// A figure that is measured beside the loss and averaged over the samples, by Keras' names. Weights of samples do not
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// `accuracy`: the share of samples whose class is the one with the largest output (the first of equal ones). Of a
    /// model with one output and the loss [`Loss::BinaryCrossentropy`], the share whose label tells whether the
    /// probability is above 1/2. With a loss for quantities it is left out.
    Accuracy,
    /// `binary_accuracy`: the share of a sample's outputs whose label, 0 or 1, tells whether the probability is above 1/2:
    /// for labels that do not exclude each other.
    BinaryAccuracy,
    /// `top_k_categorical_accuracy`: the share of samples whose class is among the `k` with the largest outputs.
    TopKCategoricalAccuracy(usize),
    /// `mean_squared_error`: `mean((y - t)^2)` over the outputs.
    MeanSquaredError,
    /// `mean_absolute_error`: `mean(|y - t|)` over the outputs.
    MeanAbsoluteError,
}

impl Metric {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::BinaryAccuracy => "binary_accuracy",
            Metric::TopKCategoricalAccuracy(_) => "top_k_categorical_accuracy",
            Metric::MeanSquaredError => "mean_squared_error",
            Metric::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// Whether it can be measured with this loss and model.
    pub(crate) fn check(self, network: &Network, loss: Loss) -> Result<()> {
        let Metric::TopKCategoricalAccuracy(k) = self else { return Ok(()) };
        let shape = network.output_shape();
        let argument = |expected: String, found: String| Err(Error::Argument { name: "metrics", expected, found });
        if loss.is_regression() {
            return argument(format!("no {} with a loss for quantities", self.name()), loss.name().to_owned());
        }
        match shape[..] {
            [1] => argument(format!("no {} where a model has one output", self.name()), "[1]".to_owned()),
            [classes] if (1..=classes).contains(&k) => Ok(()),
            [classes] => argument(format!("{} of 1 to {classes} classes", self.name()), k.to_string()),
            _ => argument(format!("no {} where a model does not give [classes]", self.name()), shape.to_string()),
        }
    }

    /// Appends the metric of each sample, `[N]`.
    fn append(self, graph: &mut Graph, loss: Loss, scored: &Scored, [output, labels]: [Tensor; 2]) -> Result<Tensor> {
        let Scored { scores, threshold, hits, .. } = *scored;
        let of_classes = graph.shape(scores).len() == 2 && graph.shape(scores).sample().elements() > 1;
        let (distance, of) = match self {
            Metric::Accuracy => match hits {
                Some(hits) => return Ok(hits),
                None if loss == Loss::BinaryCrossentropy && !of_classes => (Distance::Hit { threshold }, scores),
                None => return Ok(graph.add(TopK { k: 1, first_of_ties: true }, &[scores, labels])?),
            },
            // Where a softmax was skipped, scores are logits whose probabilities are not a matter of one threshold.
            Metric::BinaryAccuracy if loss == Loss::BinaryCrossentropy => (Distance::Hit { threshold }, scores),
            Metric::BinaryAccuracy => (Distance::Hit { threshold: 0.5 }, output),
            Metric::TopKCategoricalAccuracy(k) => {
                return Ok(graph.add(TopK { k: k as u32, first_of_ties: false }, &[scores, labels])?);
            }
            Metric::MeanSquaredError => (Distance::SquaredError, output),
            Metric::MeanAbsoluteError => (Distance::AbsoluteError, output),
        };
        let targets = soft_targets(graph, labels, of, [1.0, 0.0])?;
        Ok(graph.add(MeanLoss { distance }, &[of, targets])?)
    }
}

impl fmt::Display for Metric {
    /// Keras' name, of [`Metric::TopKCategoricalAccuracy`] with its `k`: `top_k_categorical_accuracy:5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Metric::TopKCategoricalAccuracy(k) => write!(f, "{}:{k}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    /// The metric of Keras' name, as it prints, or of a short one (`mse`, `mae`); without a `k`, that is 5, as in Keras.
    fn from_str(text: &str) -> std::result::Result<Metric, String> {
        let of_k = Metric::TopKCategoricalAccuracy;
        let known =
            [Metric::Accuracy, Metric::BinaryAccuracy, of_k(5), Metric::MeanSquaredError, Metric::MeanAbsoluteError];
        let (name, k) = text.split_once(':').map_or((text, None), |(name, k)| (name, Some(k)));
        let name = match name {
            "mse" | "MSE" => Metric::MeanSquaredError.name(),
            "mae" | "MAE" => Metric::MeanAbsoluteError.name(),
            name => name,
        };
        match (known.into_iter().find(|metric| metric.name() == name), k) {
            (Some(metric), None) => Ok(metric),
            (Some(Metric::TopKCategoricalAccuracy(_)), Some(k)) => {
                k.parse().map(of_k).map_err(|_| format!("expected {name}:K with a number of classes, found `{text}`"))
            }
            _ => Err(format!("expected one of {}; found `{text}`", known.map(Metric::name).join(", "))),
        }
    }
}

impl Compile {
    /// The metrics that are measured: all that were asked for, less accuracy where labels are quantities.
    fn measured(&self) -> impl Iterator<Item = Metric> {
        self.metrics.iter().copied().filter(|&metric| metric != Metric::Accuracy || !self.loss.is_regression())
    }

    /// The names of the metrics. One that occurs again has a number behind it.
    pub(crate) fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for metric in self.measured() {
            let name = metric.name();
            let free = (1..).map(|n| format!("{name}_{n}")).find(|numbered| !names.contains(numbered));
            names.push(if names.iter().any(|known| known == name) {
                free.unwrap_or_default()
            } else {
                name.to_owned()
            });
        }
        names
    }

    /// Appends the metrics of each sample, in the order of their names.
    pub(crate) fn append_metrics(
        &self,
        graph: &mut Graph,
        scored: &Scored,
        tensors: [Tensor; 2],
    ) -> Result<Vec<Tensor>> {
        graph.scope("metrics");
        self.measured().map(|metric| metric.append(graph, self.loss, scored, tensors)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn metrics_are_found_by_what_they_print() {
        let of_k = Metric::TopKCategoricalAccuracy;
        let simple = [Metric::Accuracy, Metric::BinaryAccuracy, Metric::MeanSquaredError, Metric::MeanAbsoluteError];
        for metric in simple.into_iter().chain([of_k(1), of_k(12)]) {
            assert_eq!(metric.to_string().parse::<Metric>().unwrap(), metric);
        }
        assert_eq!("top_k_categorical_accuracy".parse::<Metric>().unwrap(), of_k(5));
        assert_eq!("mse".parse::<Metric>().unwrap(), Metric::MeanSquaredError);
        assert_eq!("MAE".parse::<Metric>().unwrap(), Metric::MeanAbsoluteError);
        for wrong in ["", "hinge", "accuracy:3", "top_k_categorical_accuracy:x"] {
            assert!(wrong.parse::<Metric>().is_err(), "{wrong}");
        }
    }
}
