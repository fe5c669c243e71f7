//! The forms of kernels that compute rows of adjacent values.

use crate::Lowering;

/// A form of a kernel whose shader says `#quads`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An invocation computes a single value at a time.
    Values,
    /// An invocation computes four adjacent values at a time, as GPUs load them fastest.
    Quads,
}

impl Form {
    /// The number of values of a unit.
    const fn size(self) -> usize {
        match self {
            Form::Values => 1,
            Form::Quads => 4,
        }
    }

    /// The number of units of the form in so many values.
    pub fn units(self, values: usize) -> usize {
        values / self.size()
    }
}

impl Lowering<'_> {
    /// The form of a kernel for rows, or parts of rows, of so many values: quads on GPUs, if all are whole quads.
    pub fn form<const N: usize>(&self, values: [usize; N]) -> Form {
        match self.limits().gpu_kernels && values.iter().all(|values| values.is_multiple_of(Form::Quads.size())) {
            true => Form::Quads,
            false => Form::Values,
        }
    }
}
