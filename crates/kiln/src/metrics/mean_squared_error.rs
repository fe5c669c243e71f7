use kiln_graph::Tensor;
use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};

use super::{Metric, MetricCall};
use crate::Result;

/// `mean((y - t)^2)` over the outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanSquaredError;

impl Metric for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor> {
        let targets = call.targets(call.output())?;
        Ok(call.add(MeanLoss { distance: Distance::SquaredError }, &[call.output(), targets])?)
    }
}
