use kiln_graph::Tensor;
use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};

use super::{Metric, MetricCall};
use crate::Result;

/// `mean(|y - t|)` over the outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanAbsoluteError;

impl Metric for MeanAbsoluteError {
    fn name(&self) -> &'static str {
        "mean_absolute_error"
    }

    fn call(&self, call: &mut MetricCall<'_>) -> Result<Tensor> {
        let targets = call.targets(call.output())?;
        Ok(call.add(MeanLoss { distance: Distance::AbsoluteError }, &[call.output(), targets])?)
    }
}
