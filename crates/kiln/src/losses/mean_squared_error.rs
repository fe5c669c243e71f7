use kiln_ops::{Distance, MeanLoss};
use serde::{Deserialize, Serialize};

use super::{Loss, LossCall, Outputs, Scored};
use crate::Result;

/// `mean((y - t)^2)` over the outputs.
///
/// # Labels
/// One value per output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanSquaredError;

impl Loss for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn outputs(&self) -> Outputs {
        Outputs::Quantities
    }

    fn call(&self, call: &mut LossCall<'_>) -> Result<Scored> {
        let targets = call.targets()?;
        let distance = Distance::SquaredError;
        Ok(call.add(MeanLoss { distance }, &[call.output(), targets])?.into())
    }
}
