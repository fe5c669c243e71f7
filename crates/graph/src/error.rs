//! The errors of building and planning graphs.

use crate::{Shape, TensorType};

/// The result of building or planning a graph.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of building, differentiating or planning a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op does not support its inputs.
    #[error("{op}: expected {expected}, found {}", list(.found))]
    Inputs {
        /// The op's name.
        op: &'static str,
        /// The supported inputs as text.
        expected: String,
        /// The types of the inputs.
        found: Vec<TensorType>,
    },
    /// A tensor or buffer belongs to another graph, or to the lowering of a single node.
    #[error("{what} does not belong to this graph")]
    NotOfGraph {
        /// The tensor or buffer: `input 1 of add`.
        what: String,
    },
    /// An op set the gradient of an input out of range. A bug in the op.
    #[error("{op} sets the gradient of its input {input}, the node has {inputs} inputs")]
    NoSuchInput {
        /// The op's name.
        op: &'static str,
        /// The input's index.
        input: usize,
        /// The number of the node's inputs.
        inputs: usize,
    },
    /// A reshape changes the number of elements.
    #[error("reshape: {from} has {} elements, {to} has {}", .from.elements(), .to.elements())]
    Reshape {
        /// The tensor's shape.
        from: Shape,
        /// The requested shape.
        to: Shape,
    },
    /// An op on the path has no gradient.
    #[error("{op} has no gradient with respect to its input {input}; trained parameters must not depend on it")]
    NotDifferentiable {
        /// The op's name.
        op: &'static str,
        /// The input's index.
        input: usize,
    },
    /// A tensor exceeds the device's largest binding.
    #[error(
        "{label}: tensor `{tensor}` of {call} needs {bytes} bytes, the device binds at most {limit} bytes; use a smaller batch or a device with a larger max_storage_buffer_binding_size"
    )]
    TooLarge {
        /// The scope of the node.
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
    /// A call exceeds the device's limit of workgroups along an axis.
    #[error(
        "{label}: {call} needs {workgroups:?} workgroups, the device dispatches at most {limit} along each axis; use a smaller batch"
    )]
    TooManyWorkgroups {
        /// The scope of the node.
        label: String,
        /// The kernel.
        call: &'static str,
        /// The workgroups of the call.
        workgroups: [u32; 3],
        /// The device's limit.
        limit: u32,
    },
    /// An op's lowering violates a rule of plans. A bug in the op.
    #[error("{label}: {call}: {rule}")]
    Lowering {
        /// The scope of the node.
        label: String,
        /// The kernel.
        call: &'static str,
        /// The rule.
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
