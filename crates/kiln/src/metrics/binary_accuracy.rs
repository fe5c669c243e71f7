use kiln_graph::Tensor;
use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};

use super::{Metric, MetricCall};
use crate::Result;
use crate::losses::Outputs;

/// The fraction of a sample's outputs whose probability is above 1/2 exactly if the label is 1: for labels that are not
/// mutually exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BinaryAccuracy;

impl Metric for BinaryAccuracy {
    fn name(&self) -> &'static str {
        "binary_accuracy"
    }

    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor> {
        let (scores, threshold) = match call.loss().outputs() {
            Outputs::Probabilities => (call.scores(), call.threshold()),
            // The logits of a softmax have no fixed threshold.
            Outputs::Classes | Outputs::Quantities => (call.output(), 0.5),
        };
        let targets = call.targets(scores)?;
        Ok(call.add(MeanLoss { distance: Distance::Hit { threshold } }, &[scores, targets])?)
    }
}
