//! The interface between a loss and the graph.

use kiln_graph::{DType, Graph, Node, Tensor};
use kiln_ops::{Activation, Conv2d, Function, Matmul, SoftTargets, Softmax};

use super::Loss;
use crate::graph_methods::graph_methods;
use crate::{Error, Result};

/// The batch that a loss is appended for, and the graph that it appends ops to.
#[derive(Debug)]
pub struct LossCall<'a> {
    pub(super) graph: &'a mut Graph,
    pub(super) model: &'a str,
    pub(super) output: Tensor,
    pub(super) labels: Tensor,
}

/// The last op of a model.
enum Ending {
    Softmax(Tensor),
    Sigmoid(Tensor),
    /// A linear layer without activation.
    Linear(String),
    Other,
}

impl LossCall<'_> {
    /// The model's output: f32 `[N, …]`.
    pub fn output(&self) -> Tensor {
        self.output
    }

    /// The labels as the data set holds them: class indices u32 `[N]`, or values f32 `[N, size]`.
    pub fn labels(&self) -> Tensor {
        self.labels
    }

    /// The labels as one value per output, f32 of the output's shape: class indices one-hot encoded, or unchanged if there
    /// is one output.
    ///
    /// # Errors
    /// If the labels do not fit the output.
    pub fn targets(&mut self) -> Result<Tensor> {
        self.smoothed_targets(1.0, 0.0)
    }

    /// `scale` times [`LossCall::targets`] plus `offset`: label smoothing.
    ///
    /// # Errors
    /// If the labels do not fit the output.
    pub fn smoothed_targets(&mut self, scale: f64, offset: f64) -> Result<Tensor> {
        soft_targets(self.graph, self.labels, self.output, [scale, offset])
    }

    /// The logits whose softmax is the model's output, of its shape: the output itself if the loss is
    /// [`from_logits`](Loss::from_logits), else the input of a softmax at the model's end. With logits, a loss and its
    /// gradient are exact even if probabilities underflow. `None` if the probabilities come from another op.
    ///
    /// # Errors
    /// [`Error::NoSoftmax`] if the model ends in a linear layer.
    pub fn softmax_logits(&self, loss: &dyn Loss) -> Result<Option<Tensor>> {
        self.logits(loss, |ending| if let Ending::Softmax(logits) = ending { Some(logits) } else { None })
    }

    /// The logits whose sigmoid is the model's output, as in [`LossCall::softmax_logits`].
    ///
    /// # Errors
    /// [`Error::NoSoftmax`] if the model ends in a linear layer.
    pub fn sigmoid_logits(&self, loss: &dyn Loss) -> Result<Option<Tensor>> {
        self.logits(loss, |ending| if let Ending::Sigmoid(logits) = ending { Some(logits) } else { None })
    }

    fn logits(&self, loss: &dyn Loss, of: impl Fn(Ending) -> Option<Tensor>) -> Result<Option<Tensor>> {
        if loss.from_logits() {
            return Ok(Some(self.output));
        }
        match self.ending() {
            Ending::Linear(found) => {
                let (model, outputs) = (self.model.to_owned(), self.graph.shape(self.output).sample().elements());
                Err(Error::NoSoftmax { model, loss: loss.name(), found, outputs })
            }
            ending => Ok(of(ending)),
        }
    }

    /// The kind of op that computes the model's output.
    fn ending(&self) -> Ending {
        let last: Option<&Node> = self.graph.nodes().iter().rfind(|node| node.outputs.contains(&self.output));
        let Some(node) = last else { return Ending::Other };
        let op: &dyn std::any::Any = &*node.op;
        if op.is::<Softmax>() {
            Ending::Softmax(node.inputs[0])
        } else if op.downcast_ref() == Some(&Activation { function: Function::Sigmoid }) {
            Ending::Sigmoid(node.inputs[0])
        } else if op.is::<Matmul>() || op.is::<Conv2d>() {
            Ending::Linear(format!("`{}` of {}", node.op.name(), node.scope))
        } else {
            Ending::Other
        }
    }

    graph_methods!();
}

/// The labels as one value per output, times the first plus the second number.
pub(crate) fn soft_targets(
    graph: &mut Graph,
    labels: Tensor,
    output: Tensor,
    [scale, offset]: [f64; 2],
) -> Result<Tensor> {
    let shape = graph.shape(output).clone();
    let targets = match graph.ty(labels).dtype {
        DType::F32 if (scale, offset) == (1.0, 0.0) => labels,
        _ => {
            let classes = shape.sample().elements();
            graph.add(SoftTargets { classes, scale: scale as f32, offset: offset as f32 }, &[labels])?
        }
    };
    if *graph.shape(targets) == shape {
        return Ok(targets);
    }
    Ok(graph.reshape(targets, shape)?)
}
