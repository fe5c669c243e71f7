//! Gradients of a loss.

use std::sync::Arc;

use kiln_graph::{Graph, Op, Result, Tensor};

use crate::{Fill, ScaleAdd};

/// Appends the nodes that compute the gradient of `loss` with respect to each of `with_respect_to`; `None` if the loss
/// does not depend on the tensor. A loss with several elements is summed.
///
/// # Errors
/// If an op on the path has no gradient.
pub fn gradients(graph: &mut Graph, loss: Tensor, with_respect_to: &[Tensor]) -> Result<Vec<Option<Tensor>>> {
    let shape = graph.shape(loss).clone();
    let one = graph.add(Fill { value: 1.0, shape }, &[])?;
    scaled_gradients(graph, loss, one, with_respect_to)
}

/// As [`gradients`], multiplied by a scale of the loss's type.
///
/// # Errors
/// As [`gradients`].
pub fn scaled_gradients(
    graph: &mut Graph,
    loss: Tensor,
    scale: Tensor,
    with_respect_to: &[Tensor],
) -> Result<Vec<Option<Tensor>>> {
    let sum: Arc<dyn Op> = Arc::new(ScaleAdd { a: 1.0, b: 1.0 });
    graph.gradients(loss, scale, with_respect_to, &sum)
}
