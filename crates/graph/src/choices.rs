//! Which of several kernels computes an op, where all give the same bits and only time tells them apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::{Kernel, Op, TensorType};

/// A choice that an op made while it was lowered ([`Lowering::choose`](crate::Lowering::choose)).
#[derive(Clone, Debug)]
pub struct Choice {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The types of its inputs.
    pub inputs: Vec<TensorType>,
    /// The kernels that it can take, the one that it takes without a measurement first.
    pub kernels: Vec<&'static Kernel>,
    /// The place of the one that it took.
    pub chosen: usize,
}

impl Choice {
    /// What the choice depends on, as text: the op with its options, the types of its inputs, and a hash of the
    /// kernels' text. It means the same in another process of the same program.
    pub fn key(&self) -> String {
        let mut hasher = DefaultHasher::new();
        for kernel in &self.kernels {
            (kernel.source, kernel.entry_point).hash(&mut hasher);
        }
        let mut key = format!("{:?}", self.op);
        for ty in &self.inputs {
            // Writing to a String cannot fail.
            let _ = write!(key, ", {ty}");
        }
        let _ = write!(key, ", {:016x}", hasher.finish());
        key
    }
}

/// What was found to be best: the names of kernels by [`Choice::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(BTreeMap<String, String>);

impl Choices {
    /// Choices that were made before, as [`Choices::iter`] gives them. What no choice is about has no effect.
    pub fn new(chosen: impl IntoIterator<Item = (String, String)>) -> Choices {
        Choices(chosen.into_iter().collect())
    }

    /// Makes the kernel at this place the one to take.
    pub fn set(&mut self, choice: &Choice, place: usize) {
        if let Some(kernel) = choice.kernels.get(place) {
            self.0.insert(choice.key(), kernel.name.to_owned());
        }
    }

    /// The place of the kernel to take, if it is known.
    pub fn get(&self, choice: &Choice) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let name = self.0.get(&choice.key())?;
        choice.kernels.iter().position(|kernel| kernel.name == name)
    }

    /// Keys and the names of kernels, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, kernel)| (key.as_str(), kernel.as_str()))
    }
}
