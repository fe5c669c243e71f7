//! What an op must tell.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::{Array, Error, Gradient, Lowering, Pieces, Result, Step, TensorType};

/// A function of tensors: its shape rule, the kernel calls that compute it, its gradient and its reference.
///
/// Kiln's own ops implement this and nothing else, so an op of a user is not second class. An op's options are fields
/// of the struct that implements it.
///
/// What is measured of an op is kept by what its `Debug` text says, so that text must show all options.
///
/// An op either gives new tensors ([`Graph::add`](crate::Graph::add)) or rewrites persistent ones
/// ([`Graph::update`](crate::Graph::update): an optimizer's step). In the second case its "outputs" are the rewritten
/// tensors, and its kernels may read them as well.
pub trait Op: Any + Debug + Send + Sync {
    /// The op's one name, in the field's words: `conv2d`.
    fn name(&self) -> &'static str;

    /// The types of the outputs for inputs of these types.
    ///
    /// # Errors
    /// [`Error::Inputs`] when the op cannot take these inputs.
    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>>;

    /// How the outputs may be computed piece by piece, where a tensor is larger than what the device binds at once. An
    /// op that says so takes all sizes in [`Op::lower`] from the shapes of the tensors that it finds there.
    fn pieces(&self) -> Pieces {
        Pieces::Whole
    }

    /// This op and the next one as one op, if there is such: `next` takes this op's first output, which nobody else needs,
    /// as its input number `at`. The one op takes this op's inputs and behind them the other inputs of `next`, and gives
    /// what `next` gives and behind that the other outputs of this op. [`Plan::new`](crate::Plan::new) asks.
    fn fuse(&self, next: &dyn Op, at: usize) -> Option<Arc<dyn Op>> {
        let (_, _) = (next, at);
        None
    }

    /// Pushes the kernel calls that compute the outputs.
    ///
    /// # Errors
    /// When the op cannot run within the device's limits.
    fn lower(&self, lowering: &mut Lowering) -> Result<()>;

    /// Appends the nodes that compute the wanted gradients with respect to the inputs. By default, none exists.
    ///
    /// # Errors
    /// [`Error::NotDifferentiable`] when a wanted gradient does not exist.
    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        match (0..gradient.inputs().len()).find(|&input| gradient.wants(input)) {
            Some(input) => Err(Error::NotDifferentiable { op: self.name(), input }),
            None => Ok(()),
        }
    }

    /// The outputs in f64, written from the formula. For an op that rewrites tensors, these stand behind the inputs,
    /// with their old values.
    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array>;
}
