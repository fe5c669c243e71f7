use kiln_graph::Shape;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::categorical_crossentropy::cross_entropy;
use super::{Loss, LossCall, Misfit, Outputs, Scored, check_labels};
use crate::Result;
use crate::arguments::to_arguments;
use crate::data::Labels;

/// `-log(y[label] / sum(y))`, from logits as in [`CategoricalCrossentropy`](super::CategoricalCrossentropy).
///
/// # Labels
/// Class indices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparseCategoricalCrossentropy {
    /// Whether the model's outputs are logits instead of probabilities.
    pub from_logits: bool,
}

impl Loss for SparseCategoricalCrossentropy {
    fn name(&self) -> &'static str {
        "sparse_categorical_crossentropy"
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

    fn check_labels(&self, output: &Shape, labels: &Labels) -> std::result::Result<(), Misfit> {
        match labels {
            Labels::Values { size, .. } => Err(Misfit {
                expected: format!("class indices (loss {})", self.name()),
                found: format!("one value for each of {size} classes; use categorical_crossentropy"),
            }),
            Labels::Index { .. } => check_labels(self.name(), self.outputs(), output, labels),
        }
    }

    fn call(&self, call: &mut LossCall<'_>) -> Result<Scored> {
        let logits = call.softmax_logits(self)?;
        cross_entropy(call, logits, call.labels())
    }
}
