//! Shapes, element types and tensor handles.

use std::fmt;
use std::ops::Deref;

use crate::graph::GraphId;

/// The extent of a tensor along each axis, in elements. Images are `[N, H, W, C]`, convolution kernels `[R, S, C, K]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The number of elements: the product of all extents, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }

    /// The shape of a batch of `n` such tensors.
    pub fn batched(&self, n: usize) -> Shape {
        Shape(std::iter::once(n).chain(self.0.iter().copied()).collect())
    }

    /// The shape without its first axis: one sample of a batch.
    pub fn sample(&self) -> Shape {
        Shape(self.0.get(1..).unwrap_or_default().to_vec())
    }

    /// The extents as an array, if there are exactly `D`.
    pub fn dims<const D: usize>(&self) -> Option<[usize; D]> {
        self.0.as_slice().try_into().ok()
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const D: usize> From<[usize; D]> for Shape {
    fn from(dims: [usize; D]) -> Shape {
        Shape(dims.to_vec())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(dims.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Shape {
        Shape(dims)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float.
    F32,
    /// 32-bit unsigned integer: labels, indices.
    U32,
    /// 8-bit unsigned integer, packed four to a 32-bit word, the first in the lowest bits: image data.
    U8,
}

impl DType {
    /// The size of one element in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::U8 => 1,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
            DType::U8 => "u8",
        })
    }
}

/// Shape and element type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The extents, in elements.
    pub shape: Shape,
    /// The type of an element.
    pub dtype: DType,
}

impl TensorType {
    /// A tensor type of this shape and element type.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> TensorType {
        TensorType { shape: shape.into(), dtype }
    }

    /// A tensor type of 32-bit floats.
    pub fn f32(shape: impl Into<Shape>) -> TensorType {
        TensorType::new(shape, DType::F32)
    }

    /// The size in bytes, rounded up to whole 32-bit words.
    pub fn bytes(&self) -> u64 {
        (self.shape.elements() as u64 * self.dtype.bytes()).next_multiple_of(4)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// A handle to a tensor of a [`Graph`](crate::Graph), cheap to copy. Tensors of a graph are ordered by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tensor {
    pub(crate) graph: GraphId,
    index: u32,
}

impl Tensor {
    pub(crate) fn new(graph: GraphId, index: usize) -> Tensor {
        Tensor { graph, index: index as u32 }
    }

    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}
