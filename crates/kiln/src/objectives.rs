//! The outputs of a model that have a loss.

use std::sync::Arc;

use crate::compile::Compile;
use crate::losses::Loss;
use crate::metrics::{self, Metric};
use crate::network::Network;
use crate::per_output::output_of;
use crate::{Error, Result};

/// An output of a model with a loss.
#[derive(Clone, Debug)]
pub(crate) struct Objective {
    /// The index of the output.
    pub output: usize,
    /// The output's name.
    pub name: String,
    pub loss: Arc<dyn Loss>,
    /// The factor of the loss in the total loss.
    pub weight: f64,
    /// The metrics that apply to the loss.
    pub metrics: Vec<Arc<dyn Metric>>,
}

/// The outputs of a model that have a loss, in order. Training minimises the sum of their losses times their weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct Objectives {
    pub list: Vec<Objective>,
    /// The names of all figures beside the total loss: with several objectives their losses (`class_loss`), then the metrics
    /// of each, with the name of the output unless it is the only one (`class_accuracy`).
    pub figures: Vec<String>,
}

impl Objectives {
    /// # Errors
    /// [`Error::Argument`] if the arguments do not fit the outputs of a network.
    pub fn new(compile: &Compile, network: &Network) -> Result<Objectives> {
        let names = network.output_names();
        let losses = compile.loss.resolve("loss", &names)?;
        let weights = compile.loss_weights.resolve("loss_weights", &names)?;
        let mut list = Vec::new();
        for (output, (loss, weight)) in losses.into_iter().zip(weights).enumerate() {
            let Some(loss) = loss else { continue };
            let (name, loss, weight) = (names[output].to_owned(), loss.clone(), weight.copied().unwrap_or(1.0));
            list.push(Objective { output, name, loss, weight, metrics: Vec::new() });
        }
        if list.is_empty() {
            let expected = format!("a loss for at least one output ({})", names.join(", "));
            return Err(Error::Argument { name: "loss", expected, found: "none".to_owned() });
        }
        for metric in &compile.metrics {
            add_metric(&mut list, metric.output.as_deref(), &metric.metric, &names)?;
        }
        for (objective, shape) in
            list.iter().filter_map(|objective| Some((objective, network.output_shapes().nth(objective.output)?)))
        {
            objective.metrics.iter().try_for_each(|metric| metric.check(&*objective.loss, shape))?;
        }
        let figures = figures(&list, names.len());
        Ok(Objectives { list, figures })
    }

    /// Whether the loss of each output is a figure of its own.
    pub fn has_losses(&self) -> bool {
        self.list.len() > 1
    }
}

/// Adds a metric to the objective of an output, or without a name to all that it applies to.
fn add_metric(list: &mut [Objective], output: Option<&str>, metric: &Arc<dyn Metric>, names: &[&str]) -> Result<()> {
    let Some(name) = output else {
        let fitting = list.iter_mut().filter(|objective| metric.applies_to(&*objective.loss));
        fitting.for_each(|objective| objective.metrics.push(metric.clone()));
        return Ok(());
    };
    let output = output_of("metrics", name, names)?;
    let misfit = |expected: String| {
        let found = format!("{} of `{name}`", metric.name());
        Err(Error::Argument { name: "metrics", expected, found })
    };
    match list.iter_mut().find(|objective| objective.output == output) {
        None => misfit("a metric of an output that has a loss".to_owned()),
        Some(objective) if !metric.applies_to(&*objective.loss) => {
            misfit(format!("a metric that applies to the loss {}", objective.loss.name()))
        }
        Some(objective) => {
            objective.metrics.push(metric.clone());
            Ok(())
        }
    }
}

/// The names of all figures beside the total loss, of a model with this many outputs.
fn figures(list: &[Objective], outputs: usize) -> Vec<String> {
    let losses = list.iter().map(|objective| format!("{}_loss", objective.name)).filter(|_| list.len() > 1);
    let of_output = |objective: &Objective, metric: &dyn Metric| match outputs {
        1 => metric.name().to_owned(),
        _ => format!("{}_{}", objective.name, metric.name()),
    };
    let metrics =
        list.iter().flat_map(|objective| objective.metrics.iter().map(move |metric| of_output(objective, &**metric)));
    metrics::numbered(losses.chain(metrics))
}
