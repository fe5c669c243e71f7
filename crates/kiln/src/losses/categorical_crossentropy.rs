use kiln_graph::Tensor;
use kiln_ops::{CrossEntropy, SoftmaxCrossEntropy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Loss, LossCall, Outputs, Scored, check_smoothing};
use crate::Result;
use crate::arguments::to_arguments;

/// `-sum(t log(y / sum(y)))` over the classes.
///
/// If the model ends in a softmax, the loss and its gradient are computed from its logits, which is exact even if
/// probabilities `y` underflow. Other probabilities are clipped to 1e-7 and 1 - 1e-7, as in Keras.
///
/// # Labels
/// One value per class; class indices are one-hot encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CategoricalCrossentropy {
    /// Whether the model's outputs are logits instead of probabilities.
    pub from_logits: bool,
    /// Label smoothing: the fraction of each label spread evenly over all classes, at least 0 and less than 1.
    pub label_smoothing: f64,
}

impl Loss for CategoricalCrossentropy {
    fn name(&self) -> &'static str {
        "categorical_crossentropy"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Classes
    }

    fn from_logits(&self) -> bool {
        self.from_logits
    }

    fn config(&self) -> Map<String, Value> {
        to_arguments(self)
    }

    fn check(&self) -> Result<()> {
        check_smoothing(self.label_smoothing)
    }

    fn call(&self, call: &mut LossCall<'_>) -> Result<Scored> {
        let logits = call.softmax_logits(self)?;
        let classes = call.shape(call.output()).sample().elements();
        let targets = match self.label_smoothing {
            0.0 => call.labels(),
            smoothing => call.smoothed_targets(1.0 - smoothing, smoothing / classes as f64)?,
        };
        cross_entropy(call, logits, targets)
    }
}

/// Appends the cross-entropy of targets, from logits if there are any, else from probabilities.
pub(super) fn cross_entropy(call: &mut LossCall<'_>, logits: Option<Tensor>, targets: Tensor) -> Result<Scored> {
    let Some(logits) = logits else {
        return Ok(call.add(CrossEntropy, &[call.output(), targets])?.into());
    };
    let outputs = call.add_all(SoftmaxCrossEntropy, &[logits, targets])?;
    Ok(Scored { losses: outputs[0], logits: Some(logits), hits: Some(outputs[1]) })
}
