//! The type of a data set, as programs see it.

use kiln_graph::TensorType;

use super::Role;
use crate::data::{Dataset, Standardization};

/// The properties of a data set that programs depend on: data sets of the same type share buffers and programs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataType {
    /// `[capacity, …]`
    pub x: TensorType,
    /// `[capacity]` or `[capacity, classes]`; none for prediction data.
    pub y: Option<TensorType>,
    /// Whether the samples have weights.
    pub is_weighted: bool,
    /// A model sees `value * scale + offset`.
    pub scale: f32,
    /// A model sees `value * scale + offset`.
    pub offset: f32,
    /// The standardization after scaling.
    pub standardization: Standardization,
}

impl DataType {
    pub fn of(data: &Dataset, role: Role, capacity: usize) -> DataType {
        let labels = data.labels().filter(|_| role != Role::Predict);
        DataType {
            x: TensorType::new(data.sample_shape().batched(capacity), data.dtype()),
            y: labels.map(|labels| labels.ty(capacity)),
            is_weighted: data.sample_weights().is_some() && role != Role::Predict,
            scale: data.scale(),
            offset: data.offset(),
            standardization: data.standardization().clone(),
        }
    }

    /// The number of samples that fit the buffers.
    pub fn capacity(&self) -> usize {
        self.x.shape[0]
    }
}
