use kiln_graph::Tensor;
use kiln_ops::{Distance, MeanLoss, TopK};
use serde::{Deserialize, Serialize};

use super::{Metric, MetricCall};
use crate::Result;
use crate::losses::{Loss, Outputs};

/// The fraction of samples whose class has the largest output (the first of equal ones). For a model with one output and a
/// loss for probabilities, the fraction of samples whose probability is above 1/2 exactly if the label is 1. Omitted with
/// a regression loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy;

impl Metric for Accuracy {
    fn name(&self) -> &'static str {
        "accuracy"
    }

    fn applies_to(&self, loss: &dyn Loss) -> bool {
        loss.outputs() != Outputs::Quantities
    }

    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor> {
        if let Some(hits) = call.hits() {
            return Ok(hits);
        }
        let scores = call.scores();
        let of_classes = call.shape(scores).len() == 2 && call.shape(scores).sample().elements() > 1;
        if call.loss().outputs() == Outputs::Classes || of_classes {
            return Ok(call.add(TopK { k: 1, first_of_ties: true }, &[scores, call.labels()])?);
        }
        let (distance, targets) = (Distance::Hit { threshold: call.threshold() }, call.targets(scores)?);
        Ok(call.add(MeanLoss { distance }, &[scores, targets])?)
    }
}
