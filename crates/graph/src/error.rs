//! What can go wrong between a graph and a plan.

use crate::{Shape, TensorType};

/// The result of building or planning a graph.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong when a graph is built, differentiated or planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op was given tensors that it cannot take.
    #[error("{op}: expected {expected}, found {}", list(.found))]
    Inputs {
        /// The op's name.
        op: &'static str,
        /// What the op takes, in words.
        expected: String,
        /// The types of the tensors that it was given.
        found: Vec<TensorType>,
    },
    /// A tensor or a buffer of another graph was given, or a tensor that only one node's lowering knows.
    #[error("{what} is not of this graph; use what this graph made")]
    NotOfGraph {
        /// What was given, and to what: `input 1 of add`.
        what: String,
    },
    /// An op set the gradient of an input that its node does not have. A bug in the op.
    #[error("{op} sets the gradient of its input {input}, the node has {inputs} inputs")]
    NoSuchInput {
        /// The op's name.
        op: &'static str,
        /// The input's index.
        input: usize,
        /// How many inputs the node has.
        inputs: usize,
    },
    /// A tensor cannot be viewed with a shape of another number of elements.
    #[error("reshape: {from} has {} elements, {to} has {}", .from.elements(), .to.elements())]
    Reshape {
        /// The tensor's shape.
        from: Shape,
        /// The shape that was asked for.
        to: Shape,
    },
    /// The gradient of an op that has none was asked for.
    #[error("{op} has no gradient with respect to its input {input}; a trained value must not pass through it")]
    NotDifferentiable {
        /// The op's name.
        op: &'static str,
        /// Which of its inputs.
        input: usize,
    },
    /// A tensor is larger than what the device lets a kernel see at once.
    #[error(
        "{label}: tensor `{tensor}` of {call} needs {bytes} bytes, the device binds at most {limit} bytes; use a smaller batch or a device with a larger max_storage_buffer_binding_size"
    )]
    TooLarge {
        /// The node, as the model names it.
        label: String,
        /// The kernel.
        call: &'static str,
        /// The kernel's binding.
        tensor: &'static str,
        /// The size of the binding in bytes.
        bytes: u64,
        /// The device's limit in bytes.
        limit: u64,
    },
    /// A call needs more workgroups along one axis than the device dispatches.
    #[error(
        "{label}: {call} needs {workgroups:?} workgroups, the device dispatches at most {limit} along each axis; use a smaller batch"
    )]
    TooManyWorkgroups {
        /// The node, as the model names it.
        label: String,
        /// The kernel.
        call: &'static str,
        /// What the call asks for.
        workgroups: [u32; 3],
        /// The device's limit.
        limit: u32,
    },
    /// An op's lowering broke a rule that every plan must keep. A bug in the op.
    #[error("{label}: {call}: {rule}")]
    Lowering {
        /// The node, as the model names it.
        label: String,
        /// The kernel.
        call: &'static str,
        /// The rule that was broken.
        rule: String,
    },
}

impl Error {
    /// An [`Error::Inputs`].
    pub fn inputs(op: &'static str, expected: impl Into<String>, found: &[TensorType]) -> Error {
        Error::Inputs { op, expected: expected.into(), found: found.to_vec() }
    }
}

fn list(types: &[TensorType]) -> String {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    format!("({})", types.join(", "))
}
