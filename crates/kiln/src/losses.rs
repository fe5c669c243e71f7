//! Losses: what training makes small.

use std::sync::Arc;

use kiln_graph::{Graph, Op, Tensor};
use kiln_ops::{Softmax, SoftmaxCrossEntropy};

use crate::data::{Dataset, Labels};
use crate::network::Network;
use crate::{Error, Result};

/// A measure of how far a model's output is from the labels, by Keras' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// `-sum(t log softmax(z))` over the classes, averaged over the samples. Takes labels as one value per class; an
    /// index stands for a 1 in its place.
    #[default]
    CategoricalCrossentropy,
    /// `-log softmax(z)[label]`, averaged over the samples. Takes labels as indices only.
    SparseCategoricalCrossentropy,
}

impl Loss {
    /// Keras' name.
    pub fn name(self) -> &'static str {
        match self {
            Loss::CategoricalCrossentropy => "categorical_crossentropy",
            Loss::SparseCategoricalCrossentropy => "sparse_categorical_crossentropy",
        }
    }

    /// Whether a data set's labels fit this loss and a model that gives `outputs` values.
    pub(crate) fn check(self, network: &Network, data: &Dataset) -> Result<()> {
        let outputs = network.output_shape();
        let misfit =
            |expected: String, found: String| Err(Error::Misfit { model: network.name.clone(), expected, found });
        match (&**outputs, data.labels(), self) {
            ([_], Labels::OneHot { classes, .. }, Loss::SparseCategoricalCrossentropy) => misfit(
                format!("labels as indices (loss {})", self.name()),
                format!("one value for each of {classes} classes; use {}", Loss::CategoricalCrossentropy.name()),
            ),
            ([outputs], Labels::OneHot { classes, .. }, _) if classes != outputs => {
                misfit(format!("{outputs} values per label"), format!("{classes}"))
            }
            ([outputs], Labels::Index { classes, .. }, _) if classes > outputs => {
                misfit(format!("labels below {outputs}, which it has outputs for"), format!("{classes} classes"))
            }
            ([_], ..) => Ok(()),
            _ => misfit("to give [classes] for its loss".to_owned(), format!("labels, but the model gives {outputs}")),
        }
    }

    /// Appends the loss of each sample and whether the largest output is the label's (1 or 0), both `[N]`.
    ///
    /// A softmax at the end of the model is skipped: from what it takes, the loss and its gradient are exact where the
    /// probabilities are too small to hold.
    ///
    /// # Errors
    /// [`Error::NoSoftmax`] when the model does not end in softmax and its output is not said to be logits.
    pub(crate) fn append(
        self,
        graph: &mut Graph,
        network: &Network,
        output: Tensor,
        labels: Tensor,
        from_logits: bool,
    ) -> Result<[Tensor; 2]> {
        let last = graph.nodes().iter().rfind(|node| node.outputs.contains(&output));
        let logits = match last {
            _ if from_logits => output,
            Some(node) if node.op.name() == Softmax.name() => node.inputs[0],
            _ => {
                let found = last.map_or("no op".to_owned(), |node| format!("`{}` of {}", node.op.name(), node.scope));
                return Err(Error::NoSoftmax { model: network.name.clone(), loss: self.name(), found });
            }
        };
        graph.scope("loss");
        let outputs = graph.add_shared(Arc::new(SoftmaxCrossEntropy), &[logits, labels])?;
        Ok([outputs[0], outputs[1]])
    }
}
