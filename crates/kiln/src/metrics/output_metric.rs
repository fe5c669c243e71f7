//! Metrics of outputs.

use std::sync::Arc;

use super::Metric;

/// A metric of a model's outputs, in [`Compile::metrics`](crate::Compile::metrics): `Accuracy.into()` for all outputs that it
/// applies to, `("class", Accuracy).into()` for one.
#[derive(Clone, Debug)]
pub struct OutputMetric {
    /// The metric.
    pub metric: Arc<dyn Metric>,
    /// The name of the output; `None` for all outputs to whose loss it applies.
    pub output: Option<String>,
}

impl From<Arc<dyn Metric>> for OutputMetric {
    fn from(metric: Arc<dyn Metric>) -> OutputMetric {
        OutputMetric { metric, output: None }
    }
}

impl<M: Metric + 'static> From<Arc<M>> for OutputMetric {
    fn from(metric: Arc<M>) -> OutputMetric {
        OutputMetric { metric, output: None }
    }
}

impl<N: Into<String>> From<(N, Arc<dyn Metric>)> for OutputMetric {
    fn from((output, metric): (N, Arc<dyn Metric>)) -> OutputMetric {
        OutputMetric { metric, output: Some(output.into()) }
    }
}

impl<N: Into<String>, M: Metric + 'static> From<(N, Arc<M>)> for OutputMetric {
    fn from((output, metric): (N, Arc<M>)) -> OutputMetric {
        OutputMetric { metric, output: Some(output.into()) }
    }
}
