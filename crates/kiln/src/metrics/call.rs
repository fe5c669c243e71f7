//! The interface between a metric and the graph.

use kiln_graph::{Graph, Tensor};

use crate::Result;
use crate::graph_methods::graph_methods;
use crate::losses::{Loss, Scored, soft_targets};

/// The batch that a metric is appended for, the tensors of its loss, and the graph that it appends ops to.
#[derive(Debug)]
pub struct MetricCall<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) loss: &'a dyn Loss,
    pub(super) output: Tensor,
    pub(super) labels: Tensor,
    pub(super) scored: &'a Scored,
}

impl MetricCall<'_> {
    /// The model's output: f32 `[N, …]`. If only [`MetricCall::scores`] is used, the op that computes the output from the
    /// scores is omitted.
    pub fn output(&self) -> Tensor {
        self.output
    }

    /// The labels as the data set holds them: class indices u32 `[N]`, or values f32 `[N, size]`.
    pub fn labels(&self) -> Tensor {
        self.labels
    }

    /// The loss with which the metric is measured.
    pub fn loss(&self) -> &dyn Loss {
        self.loss
    }

    /// The scores that the loss used, f32 of the output's shape: [`Scored::logits`] if there are any, else the output.
    /// Scores increase with probability.
    pub fn scores(&self) -> Tensor {
        self.scored.logits.unwrap_or(self.output)
    }

    /// The score that corresponds to a probability of 1/2: 0 for logits, else 1/2.
    pub fn threshold(&self) -> f32 {
        if self.scored.logits.is_some() { 0.0 } else { 0.5 }
    }

    /// [`Scored::hits`] of the loss.
    pub fn hits(&self) -> Option<Tensor> {
        self.scored.hits
    }

    /// The labels as one value per element of a tensor of the output's shape, f32: class indices one-hot encoded, or
    /// unchanged if there is one output.
    ///
    /// # Errors
    /// If the labels do not fit it.
    pub fn targets(&mut self, like: Tensor) -> Result<Tensor> {
        soft_targets(self.graph, self.labels, like, [1.0, 0.0])
    }

    graph_methods!();
}
