//! Losses: what training makes small.

use std::any::Any;
use std::str::FromStr;
use std::sync::Arc;

use kiln_graph::{DType, Graph, Node, Tensor};
use kiln_ops::{Activation, CrossEntropy, Distance, Function, MeanLoss, SoftTargets, Softmax, SoftmaxCrossEntropy};

use crate::compile::Compile;
use crate::data::{Dataset, Labels};
use crate::network::Network;
use crate::{Error, Result};

/// A measure of how far a model's output is from the labels, by Keras' names. Training makes its mean over the samples
/// small.
///
/// Where it takes probabilities, a softmax or a sigmoid at the end of the model is skipped: from what that takes, the loss
/// and its gradient are exact even where probabilities are too small to hold. Other probabilities are clipped to 1e-7
/// and 1 - 1e-7, as in Keras. With [`Compile::from_logits`], the model's output is what a softmax or sigmoid would take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// `-sum(t log(y / sum(y)))` over the classes. Takes labels as one value per class; an index stands for a 1 in its
    /// place.
    #[default]
    CategoricalCrossentropy,
    /// `-log(y[label] / sum(y))`. Takes labels as indices only.
    SparseCategoricalCrossentropy,
    /// `-mean(t log(y) + (1 - t) log(1 - y))` over the outputs. Takes labels as one value per output. Of indices, 0 and 1
    /// stand for themselves where there is one output; else an index stands for a 1 in its place.
    BinaryCrossentropy,
    /// `mean((y - t)^2)` over the outputs. Takes labels as one value per output.
    MeanSquaredError,
    /// `mean(|y - t|)` over the outputs. Takes labels as one value per output.
    MeanAbsoluteError,
}

/// What a loss makes of a batch.
pub(crate) struct Scored {
    /// The loss of each sample: `[N]`.
    pub losses: Tensor,
    /// What the loss took: probabilities, or logits in their place.
    pub scores: Tensor,
    /// What a score is above where its probability is above 1/2.
    pub threshold: f32,
    /// Whether each sample's largest score is that of its class, where the loss has told already.
    pub hits: Option<Tensor>,
}

impl Loss {
    /// All of them.
    pub const ALL: [Loss; 5] = [
        Loss::CategoricalCrossentropy,
        Loss::SparseCategoricalCrossentropy,
        Loss::BinaryCrossentropy,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
    ];

    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Loss::CategoricalCrossentropy => "categorical_crossentropy",
            Loss::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
            Loss::BinaryCrossentropy => "binary_crossentropy",
            Loss::MeanSquaredError => "mean_squared_error",
            Loss::MeanAbsoluteError => "mean_absolute_error",
        }
    }

    /// Keras' other names: that of the class, and short ones.
    fn other_names(self) -> &'static [&'static str] {
        match self {
            Loss::CategoricalCrossentropy => &["CategoricalCrossentropy"],
            Loss::SparseCategoricalCrossentropy => &["SparseCategoricalCrossentropy"],
            Loss::BinaryCrossentropy => &["BinaryCrossentropy", "bce", "BCE"],
            Loss::MeanSquaredError => &["MeanSquaredError", "mse", "MSE"],
            Loss::MeanAbsoluteError => &["MeanAbsoluteError", "mae", "MAE"],
        }
    }

    /// Whether labels are quantities rather than classes.
    pub(crate) fn is_regression(self) -> bool {
        matches!(self, Loss::MeanSquaredError | Loss::MeanAbsoluteError)
    }

    /// Whether labels may be smoothed.
    pub(crate) fn smooths(self) -> bool {
        matches!(self, Loss::CategoricalCrossentropy | Loss::BinaryCrossentropy)
    }

    /// Whether a data set's labels fit this loss and the model.
    pub(crate) fn check(self, network: &Network, data: &Dataset) -> Result<()> {
        let shape = network.output_shape();
        let outputs = shape.elements();
        let misfit =
            |expected: String, found: String| Err(Error::Misfit { model: network.name.clone(), expected, found });
        let categorical = matches!(self, Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy);
        if categorical && shape.len() != 1 {
            return misfit("to give [classes] for its loss".to_owned(), format!("labels, but the model gives {shape}"));
        }
        if categorical && outputs == 1 {
            let [binary, squared] = [Loss::BinaryCrossentropy, Loss::MeanSquaredError].map(Loss::name);
            return misfit(
                format!("a loss for its one output, whose share of all classes is always 1: {binary}, or {squared}"),
                format!("labels for the loss {}", self.name()),
            );
        }
        let Some(labels) = data.labels() else {
            return Err(Error::unlabelled(&network.name));
        };
        match labels {
            Labels::Values { size, .. } if self == Loss::SparseCategoricalCrossentropy => misfit(
                format!("labels as indices (loss {})", self.name()),
                format!("one value for each of {size} classes; use {}", Loss::CategoricalCrossentropy.name()),
            ),
            Labels::Values { size, .. } if *size != outputs => {
                misfit(format!("{outputs} values per label"), format!("{size}"))
            }
            Labels::Values { .. } => Ok(()),
            Labels::Index { classes, .. } if outputs == 1 && !categorical => match self {
                Loss::BinaryCrossentropy if *classes > 2 => {
                    misfit("labels 0 and 1, as it has one output".to_owned(), format!("{classes} classes"))
                }
                _ => Ok(()),
            },
            Labels::Index { .. } if self.is_regression() || shape.len() != 1 => {
                misfit(format!("{outputs} values per label (loss {})", self.name()), "labels as indices".to_owned())
            }
            Labels::Index { classes, .. } if *classes > outputs => {
                misfit(format!("labels below {outputs}, which it has outputs for"), format!("{classes} classes"))
            }
            Labels::Index { .. } => Ok(()),
        }
    }

    /// Appends the loss of each sample.
    ///
    /// # Errors
    /// [`Error::NoSoftmax`] when the loss takes probabilities, and the model's last layer is linear.
    pub(crate) fn append(
        self,
        graph: &mut Graph,
        network: &Network,
        compiled: &Compile,
        [output, labels]: [Tensor; 2],
    ) -> Result<Scored> {
        graph.scope("loss");
        let smoothing = compiled.label_smoothing;
        match self {
            Loss::CategoricalCrossentropy | Loss::SparseCategoricalCrossentropy => {
                let logits = self.logits(graph, network, compiled, output, |end| end.is::<Softmax>())?;
                let classes = graph.shape(output).sample().elements();
                let targets = match smoothing {
                    0.0 => labels,
                    _ => soft_targets(graph, labels, output, [1.0 - smoothing, smoothing / classes as f64])?,
                };
                let Some(logits) = logits else {
                    let losses = graph.add(CrossEntropy, &[output, targets])?;
                    return Ok(Scored { losses, scores: output, threshold: 0.5, hits: None });
                };
                let outputs = graph.add_shared(Arc::new(SoftmaxCrossEntropy), &[logits, targets])?;
                Ok(Scored { losses: outputs[0], scores: logits, threshold: 0.0, hits: Some(outputs[1]) })
            }
            Loss::BinaryCrossentropy => {
                let sigmoid = Activation { function: Function::Sigmoid };
                let logits =
                    self.logits(graph, network, compiled, output, |end| end.downcast_ref() == Some(&sigmoid))?;
                let targets = soft_targets(graph, labels, output, [1.0 - smoothing, smoothing / 2.0])?;
                let (scores, distance, threshold) = match logits {
                    Some(logits) => (logits, Distance::BinaryCrossEntropyOfLogits, 0.0),
                    None => (output, Distance::BinaryCrossEntropy, 0.5),
                };
                let losses = graph.add(MeanLoss { distance }, &[scores, targets])?;
                Ok(Scored { losses, scores, threshold, hits: None })
            }
            Loss::MeanSquaredError | Loss::MeanAbsoluteError => {
                let distance =
                    if self == Loss::MeanSquaredError { Distance::SquaredError } else { Distance::AbsoluteError };
                let targets = soft_targets(graph, labels, output, [1.0, 0.0])?;
                let losses = graph.add(MeanLoss { distance }, &[output, targets])?;
                Ok(Scored { losses, scores: output, threshold: 0.5, hits: None })
            }
        }
    }

    /// What takes the place of the model's output, if that is or comes from logits: an op for which `ends` is true makes
    /// probabilities of them.
    fn logits(
        self,
        graph: &Graph,
        network: &Network,
        compiled: &Compile,
        output: Tensor,
        ends: impl Fn(&dyn Any) -> bool,
    ) -> Result<Option<Tensor>> {
        if compiled.from_logits {
            return Ok(Some(output));
        }
        let last: Option<&Node> = graph.nodes().iter().rfind(|node| node.outputs.contains(&output));
        match last {
            Some(node) if ends(&*node.op) => Ok(Some(node.inputs[0])),
            Some(node) if matches!(node.op.name(), "matmul" | "conv2d") => {
                let found = format!("`{}` of {}", node.op.name(), node.scope);
                let (model, outputs) = (network.name.clone(), network.output_shape().elements());
                Err(Error::NoSoftmax { model, loss: self.name(), found, outputs })
            }
            _ => Ok(None),
        }
    }
}

/// The labels as one value for each of the model's outputs, times the first and plus the second number.
pub(crate) fn soft_targets(
    graph: &mut Graph,
    labels: Tensor,
    output: Tensor,
    [scale, offset]: [f64; 2],
) -> Result<Tensor> {
    let shape = graph.shape(output).clone();
    let targets = match graph.ty(labels).dtype {
        DType::F32 if (scale, offset) == (1.0, 0.0) => labels,
        _ => {
            let classes = shape.sample().elements();
            graph.add(SoftTargets { classes, scale: scale as f32, offset: offset as f32 }, &[labels])?
        }
    };
    if *graph.shape(targets) == shape {
        return Ok(targets);
    }
    Ok(graph.reshape(targets, shape)?)
}

impl FromStr for Loss {
    type Err = String;

    /// The loss of one of Keras' names: `mean_squared_error`, `MeanSquaredError`, `mse` or `MSE`.
    fn from_str(name: &str) -> std::result::Result<Loss, String> {
        let named = |loss: &Loss| loss.name() == name || loss.other_names().contains(&name);
        Loss::ALL.into_iter().find(named).ok_or_else(|| {
            let names = Loss::ALL.map(Loss::name).join(", ");
            format!("expected one of {names} (short: bce, mse, mae); found `{name}`")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn losses_are_found_by_kerases_names() {
        for loss in Loss::ALL {
            assert_eq!(loss.name().parse::<Loss>().unwrap(), loss);
        }
        let found =
            ["CategoricalCrossentropy", "SparseCategoricalCrossentropy", "bce", "BCE", "mse", "MSE", "mae", "MAE"]
                .map(|name| name.parse::<Loss>().unwrap());
        let [bce, mse, mae] = [Loss::BinaryCrossentropy, Loss::MeanSquaredError, Loss::MeanAbsoluteError];
        let [one_hot, index] = [Loss::CategoricalCrossentropy, Loss::SparseCategoricalCrossentropy];
        assert_eq!(found, [one_hot, index, bce, bce, mse, mse, mae, mae]);
        let error = "hinge".parse::<Loss>().unwrap_err();
        assert!(error.contains("mean_squared_error") && error.ends_with("found `hinge`"), "{error}");
    }
}
