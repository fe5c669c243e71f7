//! The interface every op implements.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::{Array, Error, Gradient, Lowering, Pieces, Result, Step, TensorType};

/// A function of tensors: its shape rule, the kernel calls that compute it, its gradient and its reference.
///
/// Kiln's own ops implement this interface and nothing else, so users' ops are equal. An op's options are fields of its
/// struct.
///
/// Measurements of an op are stored by its `Debug` text, which must show all options.
///
/// An op either computes new tensors ([`Graph::add`](crate::Graph::add)) or updates persistent ones in place
/// ([`Graph::update`](crate::Graph::update): an optimizer's step). In the second case its outputs are the updated
/// tensors, and its kernels may read them as well.
pub trait Op: Any + Debug + Send + Sync {
    /// The op's name, a standard term of the field: `conv2d`.
    fn name(&self) -> &'static str;

    /// The types of the outputs for inputs of these types.
    ///
    /// # Errors
    /// [`Error::Inputs`] if the op does not support these inputs.
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>>;

    /// How the outputs can be computed in pieces if a tensor exceeds the device's largest binding. Such an op must read
    /// all sizes in [`Op::lower`] from the shapes of the tensors there.
    fn pieces(&self) -> Pieces {
        Pieces::Whole
    }

    /// Fuses this op with its successor, if possible: `next` is the only user of this op's first output, as its input
    /// `at`. The inputs of the fused op are this op's, then the other inputs of `next`; its outputs are those of
    /// `next`, then the other outputs of this op. Called by [`Plan::new`](crate::Plan::new).
    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        let (_, _) = (next, at);
        None
    }

    /// Pushes the kernel calls that compute the outputs.
    ///
    /// # Errors
    /// If the op cannot run within the device's limits.
    fn lower(&self, lowering: &mut Lowering) -> Result<()>;

    /// Appends the nodes that compute the needed gradients with respect to the inputs. By default, there is no
    /// gradient.
    ///
    /// # Errors
    /// [`Error::NotDifferentiable`] if a needed gradient does not exist.
    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        match (0..gradient.inputs().len()).find(|&input| gradient.wants(input)) {
            Some(input) => Err(Error::NotDifferentiable { op: self.name(), input }),
            None => Ok(()),
        }
    }

    /// The outputs in f64, computed by the formula. For an op that updates tensors, `inputs` also has their old values,
    /// after the inputs.
    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array>;
}
