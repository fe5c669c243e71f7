use kiln_graph::{Shape, Tensor};
use kiln_ops::TopK;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Metric, MetricCall};
use crate::arguments::to_arguments;
use crate::losses::{Loss, Outputs};
use crate::{Error, Result};

/// The fraction of samples whose class is among the `k` largest outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopKCategoricalAccuracy {
    /// The number of largest outputs to consider, from 1 to the number of classes.
    pub k: usize,
}

impl Default for TopKCategoricalAccuracy {
    /// `k` is 5, as in Keras.
    fn default() -> TopKCategoricalAccuracy {
        TopKCategoricalAccuracy { k: 5 }
    }
}

impl Metric for TopKCategoricalAccuracy {
    fn name(&self) -> &'static str {
        "top_k_categorical_accuracy"
    }

    fn config(&self) -> Map<String, Value> {
        to_arguments(self)
    }

    fn check(&self, loss: &dyn Loss, output: &Shape) -> Result<()> {
        let argument = |expected: String, found: String| Err(Error::Argument { name: "metrics", expected, found });
        if loss.outputs() == Outputs::Quantities {
            return argument(format!("a classification loss for {}", self.name()), loss.name().to_owned());
        }
        match output[..] {
            [1] => argument(format!("more than one output for {}", self.name()), "[1]".to_owned()),
            [classes] if (1..=classes).contains(&self.k) => Ok(()),
            [classes] => argument(format!("{} with k from 1 to {classes}", self.name()), self.k.to_string()),
            _ => argument(format!("an output [classes] for {}", self.name()), output.to_string()),
        }
    }

    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor> {
        Ok(call.add(TopK { k: self.k as u32, first_of_ties: false }, &[call.scores(), call.labels()])?)
    }
}
