//! Metrics by their names on the command line.

use std::sync::Arc;

use kiln::metrics::{self, Metric};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub fn serialize<S: Serializer>(metrics: &[Arc<dyn Metric>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(metrics.iter().map(|metric| metric.to_string()))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Arc<dyn Metric>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| metrics::from_name(name)).collect::<Result<_, String>>().map_err(D::Error::custom)
}
