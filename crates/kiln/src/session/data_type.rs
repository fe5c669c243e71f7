//! What programs depend on of a data set.

use kiln_graph::TensorType;

use super::Role;
use crate::data::{Dataset, Standardization};

/// All that programs depend on of a data set: data of the same type are written into the buffers of others, and their
/// programs run on them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataType {
    /// `[capacity, …]`
    pub x: TensorType,
    /// `[capacity]` or `[capacity, classes]`; none of data that are predicted for.
    pub y: Option<TensorType>,
    /// Whether the samples have weights.
    pub is_weighted: bool,
    /// A model sees `value * scale + offset`.
    pub scale: f32,
    /// A model sees `value * scale + offset`.
    pub offset: f32,
    /// What becomes of the values after that.
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

    /// How many samples the device has room for.
    pub fn capacity(&self) -> usize {
        self.x.shape[0]
    }
}
