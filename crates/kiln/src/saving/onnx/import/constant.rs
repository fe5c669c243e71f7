//! Tensors whose values are known: weights, shapes and other constants of a graph.

use half::f16;

use super::super::proto::{BOOL, DOUBLE, EXTERNAL, FLOAT, FLOAT16, INT32, INT64, TensorProto};

/// A tensor of floats or of whole numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    Floats(Vec<f32>),
    Ints(Vec<i64>),
}

/// The number of samples of a batch, in a shape.
pub(super) const BATCH: i64 = i64::MIN;

/// A shape for an error.
pub(super) fn shown(dims: &[i64]) -> String {
    let extent = |&extent: &i64| if extent == BATCH { "batch".to_owned() } else { extent.to_string() };
    format!("[{}]", dims.iter().map(extent).collect::<Vec<_>>().join(", "))
}

impl Constant {
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Constant {
        Constant { dims, data: Data::Floats(values) }
    }

    /// A list of whole numbers.
    pub fn list(values: Vec<i64>) -> Constant {
        Constant { dims: vec![values.len()], data: Data::Ints(values) }
    }

    pub fn elements(&self) -> usize {
        match &self.data {
            Data::Floats(values) => values.len(),
            Data::Ints(values) => values.len(),
        }
    }

    /// The tensor of a file, whose size is that of its extents.
    pub fn read(tensor: &TensorProto) -> Result<Constant, String> {
        let problem = |expected: String, found: String| {
            Err(format!("tensor `{}`: expected {expected}, found {found}", tensor.name))
        };
        if tensor.data_location == EXTERNAL {
            return problem("its values in this file".to_owned(), "those of another file".to_owned());
        }
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let elements = dims.as_ref().and_then(|dims| elements(dims));
        let (Some(dims), Some(elements)) = (dims, elements) else {
            return problem("extents of a tensor".to_owned(), format!("{:?}", tensor.dims));
        };
        let raw = &tensor.raw_data[..];
        let is_raw = !raw.is_empty();
        let data = match tensor.data_type {
            FLOAT if is_raw => Data::Floats(words(raw, f32::from_le_bytes)),
            FLOAT => Data::Floats(tensor.float_data.clone()),
            DOUBLE if is_raw => Data::Floats(words(raw, |word| f64::from_le_bytes(word) as f32)),
            DOUBLE => Data::Floats(tensor.double_data.iter().map(|&value| value as f32).collect()),
            FLOAT16 if is_raw => Data::Floats(words(raw, |word| f16::from_le_bytes(word).to_f32())),
            FLOAT16 => {
                Data::Floats(tensor.int32_data.iter().map(|&bits| f16::from_bits(bits as u16).to_f32()).collect())
            }
            INT64 if is_raw => Data::Ints(words(raw, i64::from_le_bytes)),
            INT64 => Data::Ints(tensor.int64_data.clone()),
            INT32 if is_raw => Data::Ints(words(raw, |word| i64::from(i32::from_le_bytes(word)))),
            BOOL if is_raw => Data::Ints(raw.iter().map(|&byte| i64::from(byte)).collect()),
            INT32 | BOOL => Data::Ints(tensor.int32_data.iter().map(|&value| i64::from(value)).collect()),
            found => {
                let expected = "elements of type FLOAT, DOUBLE, FLOAT16, INT64, INT32 or BOOL".to_owned();
                return problem(expected, format!("type {found}"));
            }
        };
        let constant = Constant { dims, data };
        match constant.elements() == elements {
            true => Ok(constant),
            false => problem(format!("{elements} elements"), constant.elements().to_string()),
        }
    }

    /// The values as floats.
    pub fn values(&self) -> Vec<f32> {
        match &self.data {
            Data::Floats(values) => values.clone(),
            Data::Ints(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    pub fn ints(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Ints(values) => Some(values),
            Data::Floats(_) => None,
        }
    }

    /// The only value.
    pub fn single(&self) -> Option<f32> {
        if self.elements() == 1 { self.values().first().copied() } else { None }
    }

    /// The tensor with its axes in another order.
    pub fn transposed(&self, order: &[usize]) -> Constant {
        let strides = strides(&self.dims);
        let dims: Vec<usize> = order.iter().map(|&axis| self.dims[axis]).collect();
        let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
        self.picked(dims.clone(), places(&dims, &steps, 0))
    }

    /// The elements at these places.
    pub fn picked(&self, dims: Vec<usize>, places: impl Iterator<Item = usize>) -> Constant {
        let data = match &self.data {
            Data::Floats(values) => Data::Floats(places.map(|place| values[place]).collect()),
            Data::Ints(values) => Data::Ints(places.map(|place| values[place]).collect()),
        };
        Constant { dims, data }
    }
}

/// The number of elements of a tensor with these extents. `None` if there are too many, or none though other extents may be
/// huge: only a list is empty.
pub(super) fn elements(dims: &[usize]) -> Option<usize> {
    let elements = dims.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent));
    elements.filter(|&elements| elements > 0 || dims == [0])
}

/// The little-endian words of raw data.
fn words<const N: usize, T>(raw: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    raw.as_chunks().0.iter().map(|&word| read(word)).collect()
}

/// The distance between neighbours along each axis, in elements.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// The places of all elements of a tensor in row-major order, with these steps along its axes.
pub(super) fn places(dims: &[usize], steps: &[usize], first: usize) -> impl Iterator<Item = usize> {
    let elements: usize = dims.iter().product();
    let (dims, steps) = (dims.to_vec(), steps.to_vec());
    let mut index = vec![0; dims.len()];
    let mut place = first;
    (0..elements).map(move |_| {
        let found = place;
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            place += steps[axis];
            if index[axis] < dims[axis] {
                break;
            }
            place -= steps[axis] * dims[axis];
            index[axis] = 0;
        }
        found
    })
}
