use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Loss, LossCall, Outputs, Scored, check_smoothing};
use crate::Result;
use crate::arguments::to_arguments;

/// `-mean(t log(y) + (1 - t) log(1 - y))` over the outputs.
///
/// Where a sigmoid at the model's end computes the probabilities `y`, the loss and its gradient come from its logits, exact
/// even where probabilities are too close to 0 or 1 to hold. Other probabilities are clipped to 1e-7 and 1 - 1e-7, as in
/// Keras.
///
/// # Labels
/// One value per output. Of class indices, 0 and 1 stand for themselves where there is one output; else an index stands
/// for a 1 in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinaryCrossentropy {
    /// Whether the model's outputs are logits, not probabilities.
    pub from_logits: bool,
    /// How far labels are moved towards 1/2: `t (1 - label_smoothing) + label_smoothing / 2`. 0 or more and less than 1.
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
