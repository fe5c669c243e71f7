//! Penalties of regularizers.

use kiln_graph::{Graph, Tensor};
use kiln_ops::{Penalty, ScaleAdd, SumGradient};

use crate::Result;
use crate::network::Network;

/// Appends the penalties of all trainable variables with a regularizer, and returns the losses `[N]` of the samples, each
/// plus the sum of the penalties: their mean is the loss that Keras minimises and reports. Appends nothing, and returns
/// the losses, if no variable has one.
pub(super) fn added(graph: &mut Graph, network: &Network, variables: &[Tensor], losses: Tensor) -> Result<Tensor> {
    let mut total = None;
    for (variable, &tensor) in network.variables.iter().zip(variables) {
        let Some(regularizer) = variable.regularizer.filter(|_| network.trains(variable)) else { continue };
        graph.scope(variable.name.clone());
        let [l1, l2] = regularizer.factors().map(|factor| factor as f32);
        let penalty = graph.add(Penalty { l1, l2 }, &[tensor])?;
        total = Some(match total {
            None => penalty,
            Some(sum) => graph.add(ScaleAdd { a: 1.0, b: 1.0 }, &[sum, penalty])?,
        });
    }
    let Some(total) = total else { return Ok(losses) };
    graph.scope("penalties");
    let shape = graph.shape(losses).clone();
    let for_each_sample = graph.add(SumGradient { scale: 1.0, shape }, &[total])?;
    Ok(graph.add(ScaleAdd { a: 1.0, b: 1.0 }, &[losses, for_each_sample])?)
}
