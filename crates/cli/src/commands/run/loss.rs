//! A loss in `run.json`: its name, and the arguments that evaluation and prediction depend on.

use std::sync::Arc;

use kiln::losses::{self, Loss};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;

#[derive(Serialize, Deserialize)]
struct Written {
    /// The Keras name.
    loss: String,
    /// Whether the model's outputs are logits, not probabilities.
    from_logits: bool,
    /// The share of each label that is spread evenly over all classes.
    label_smoothing: f64,
}

pub fn serialize<S: Serializer>(loss: &Arc<dyn Loss>, serializer: S) -> Result<S::Ok, S::Error> {
    let label_smoothing = loss.config().get("label_smoothing").and_then(Value::as_f64).unwrap_or_default();
    Written { loss: loss.name().to_owned(), from_logits: loss.from_logits(), label_smoothing }.serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<dyn Loss>, D::Error> {
    let Written { loss, from_logits, label_smoothing } = Written::deserialize(deserializer)?;
    let from_logits = from_logits.then(|| ("from_logits", from_logits.into()));
    let smoothing = (label_smoothing != 0.0).then(|| ("label_smoothing", label_smoothing.into()));
    let loss = losses::from_name(&loss).map_err(serde::de::Error::custom)?;
    with(&*loss, from_logits.into_iter().chain(smoothing)).map_err(serde::de::Error::custom)
}

/// A loss with some of its arguments replaced.
///
/// # Errors
/// If it has no such argument.
pub fn loss_with(
    loss: &dyn Loss,
    arguments: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<Arc<dyn Loss>, Error> {
    with(loss, arguments).map_err(Error::Usage)
}

fn with(loss: &dyn Loss, arguments: impl IntoIterator<Item = (&'static str, Value)>) -> Result<Arc<dyn Loss>, String> {
    let mut config = loss.config();
    config.extend(arguments.into_iter().map(|(name, value)| (name.to_owned(), value)));
    losses::from_config(loss.name(), &config)
}
