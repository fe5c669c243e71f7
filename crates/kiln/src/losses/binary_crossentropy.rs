use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Loss, LossCall, Outputs, Scored, check_smoothing};
use crate::Result;
use crate::arguments::to_arguments;

/// `-mean(t log(y) + (1 - t) log(1 - y))` over the outputs.
///
/// If the model ends in a sigmoid, the loss and its gradient are computed from its logits, which is exact even if
/// probabilities `y` round to 0 or 1. Other probabilities are clipped to 1e-7 and 1 - 1e-7, as in Keras.
///
/// # Labels
/// One value per output. Class indices are 0 and 1 for a model with one output; otherwise they are one-hot encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossentropy {
    /// Whether the model's outputs are logits instead of probabilities.
    pub from_logits: bool,
    /// Label smoothing towards 1/2: `t (1 - label_smoothing) + label_smoothing / 2`. At least 0 and less than 1.
    pub label_smoothing: f64,
}

impl Loss for BinaryCrossentropy {
    fn name(&self) -> &'static str {
        "binary_crossentropy"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Probabilities
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
        let logits = call.sigmoid_logits(self)?;
        let targets = call.smoothed_targets(1.0 - self.label_smoothing, self.label_smoothing / 2.0)?;
        let (scores, distance) = match logits {
            Some(logits) => (logits, Distance::BinaryCrossEntropyOfLogits),
            None => (call.output(), Distance::BinaryCrossEntropy),
        };
        Ok(Scored { logits, ..call.add(MeanLoss { distance }, &[scores, targets])?.into() })
    }
}
