//! The persistent buffers of a session, by content.

use std::fmt;
use std::sync::Arc;

use kiln_graph::{Buffers, DeviceBuffer, Graph, Tensor, TensorType};

use crate::Result;

/// The use of a data set on the device. Each has buffers of its own, so that training, validation and predictions alternate
/// without an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Train,
    /// Validation and evaluation.
    Test,
    /// Prediction.
    Predict,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The samples, of the input with this index.
    X(usize),
    /// The labels, of the target with this index.
    Y(usize),
    /// The samples' weights, of the target with this index or all.
    Weights(usize),
    /// The order of the samples.
    Order,
    /// [`Features::centre`](crate::data::Features::centre), of the input with this index.
    Centre(usize),
    /// [`Features::divisor`](crate::data::Features::divisor), of the input with this index.
    Divisor(usize),
    /// [`Features::whitening`](crate::data::Features::whitening), of the input with this index.
    Whitening(usize),
}

/// A buffer that outlives a step. Prints as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Persistent<'a> {
    /// The trainable variables, flat. Gradients and the optimizer's slots have the same layout.
    Trainable,
    /// The non-trainable variables, flat: frozen ones, and statistics updated by layers.
    NonTrainable,
    /// The gradients, flat.
    Gradients,
    /// The sum of some shards' gradients, flat: one level of a tree of sums.
    PartialSum(u32),
    /// The state of loss scaling, of `kiln_ops::LossScale`. Its first word is the scale.
    LossScale,
    /// The optimizer's slot of this name, flat.
    Slot(&'a str),
    /// A row per step: the sum of the total losses, and of each other figure.
    Metrics,
    /// The model's outputs for a batch, one after the other.
    Predictions,
    /// A part of a data set.
    Data(Role, Part),
}

impl fmt::Display for Persistent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Persistent::Trainable => f.write_str("trainable"),
            Persistent::NonTrainable => f.write_str("non_trainable"),
            Persistent::Gradients => f.write_str("gradients"),
            Persistent::PartialSum(level) => write!(f, "gradients.partial.{level}"),
            Persistent::LossScale => f.write_str("loss_scale"),
            Persistent::Slot(slot) => write!(f, "optimizer.{slot}"),
            Persistent::Metrics => f.write_str("metrics"),
            Persistent::Predictions => f.write_str("predictions"),
            Persistent::Data(role, part) => {
                let role = match role {
                    Role::Train => "train",
                    Role::Test => "test",
                    Role::Predict => "predict",
                };
                let (part, index) = match *part {
                    Part::X(index) => ("x", index),
                    Part::Y(index) => ("y", index),
                    Part::Weights(index) => ("weights", index),
                    Part::Order => ("order", 0),
                    Part::Centre(index) => ("centre", index),
                    Part::Divisor(index) => ("divisor", index),
                    Part::Whitening(index) => ("whitening", index),
                };
                match index {
                    0 => write!(f, "{role}.{part}"),
                    _ => write!(f, "{role}.{part}.{index}"),
                }
            }
        }
    }
}

impl Persistent<'_> {
    /// The tensor of a graph at an offset of the buffer, in bytes.
    pub fn tensor(self, graph: &mut Graph, ty: TensorType, offset: u64) -> Tensor {
        let buffer = graph.buffer(&self.to_string());
        graph.persistent(ty, buffer, offset)
    }

    /// The first `count` floats as a tensor of a graph.
    pub fn flat(self, graph: &mut Graph, count: usize) -> Tensor {
        self.tensor(graph, TensorType::f32([count]), 0)
    }

    /// Places a tensor of a graph at an offset of the buffer, in bytes.
    ///
    /// # Errors
    /// If the tensor is already placed.
    pub fn place(self, graph: &mut Graph, tensor: Tensor, offset: u64) -> Result<()> {
        let buffer = graph.buffer(&self.to_string());
        Ok(graph.place(tensor, buffer, offset)?)
    }

    /// The buffer, if it was made.
    pub fn of(self, buffers: &Buffers) -> Option<&Arc<dyn DeviceBuffer>> {
        buffers.get(&self.to_string())
    }

    /// The buffer, created on first use, of at least 4 bytes.
    ///
    /// # Errors
    /// If memory runs out, or the buffer exists and is smaller.
    pub fn make(self, buffers: &mut Buffers, bytes: u64) -> Result<Arc<dyn DeviceBuffer>> {
        Ok(buffers.named(&self.to_string(), bytes.max(4))?)
    }
}
