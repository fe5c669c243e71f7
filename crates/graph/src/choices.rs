//! The choice between bit-identical kernels of an op, by their speed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::{Kernel, Op, TensorType};

/// A choice made by an op's lowering ([`Lowering::choose`](crate::Lowering::choose)).
#[derive(Clone, Debug)]
pub struct Choice {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The types of its inputs.
    pub inputs: Vec<TensorType>,
    /// The alternative kernels, the default first.
    pub kernels: Vec<&'static Kernel>,
    /// The index of the chosen kernel.
    pub chosen: usize,
}

impl Choice {
    /// The inputs of the choice as text: the op with its options, the types of its inputs, and a hash of the kernels'
    /// source. It is the same in every process of a program.
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

/// The fastest kernels: names by [`Choice::key`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices(BTreeMap<String, String>);

impl Choices {
    /// Restores choices from [`Choices::iter`]. Unknown keys have no effect.
    pub fn new(chosen: impl IntoIterator<Item = (String, String)>) -> Choices {
        Choices(chosen.into_iter().collect())
    }

    /// Selects the kernel at this index.
    pub fn set(&mut self, choice: &Choice, place: usize) {
        if let Some(kernel) = choice.kernels.get(place) {
            self.0.insert(choice.key(), kernel.name.to_owned());
        }
    }

    /// The index of the kernel to use, if it is known.
    pub fn get(&self, choice: &Choice) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let name = self.0.get(&choice.key())?;
        choice.kernels.iter().position(|kernel| kernel.name == name)
    }

    /// Keys and kernel names, in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, kernel)| (key.as_str(), kernel.as_str()))
    }
}
