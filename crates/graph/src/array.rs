//! Host tensors in f64, the inputs and outputs of references.

use crate::{DType, SPLITMIX64_STEP, Shape, TensorType, splitmix64};

/// A tensor's values on the host. Every element type is stored as `f64`, which represents all of them exactly.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The type of the values on a device.
    pub ty: TensorType,
    /// The values in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// An array of 32-bit floats. `data` has as many values as `shape` has elements.
    pub fn f32(shape: impl Into<Shape>, data: Vec<f64>) -> Array {
        Array::new(TensorType::f32(shape), data)
    }

    /// An array of this type. `data` has as many values as the type has elements.
    pub fn new(ty: TensorType, data: Vec<f64>) -> Array {
        debug_assert_eq!(ty.shape.elements(), data.len(), "{ty} needs as many values as it has elements");
        Array { ty, data }
    }

    /// An array of 32-bit floats that are all zero.
    pub fn zeros(shape: impl Into<Shape>) -> Array {
        let ty = TensorType::f32(shape);
        let data = vec![0.0; ty.shape.elements()];
        Array { ty, data }
    }

    /// Pseudo-random 32-bit floats, uniform in `[-1, 1)`, the same for the same `seed` everywhere (splitmix64).
    pub fn random(shape: impl Into<Shape>, seed: u64) -> Array {
        let ty = TensorType::f32(shape);
        let data = bits(seed).take(ty.shape.elements()).map(|bits| (bits >> 40) as f64 / (1u64 << 23) as f64 - 1.0);
        let data = data.collect();
        Array { ty, data }
    }

    /// Pseudo-random integers below `bound`, the same for the same `seed` everywhere.
    pub fn random_below(shape: impl Into<Shape>, dtype: DType, bound: u64, seed: u64) -> Array {
        let ty = TensorType::new(shape, dtype);
        let data = bits(seed).take(ty.shape.elements()).map(|bits| ((bits >> 32) % bound.max(1)) as f64).collect();
        Array { ty, data }
    }

    /// The extents, in elements.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// The values in a device's representation.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = match self.ty.dtype {
            DType::F32 => self.data.iter().flat_map(|&v| (v as f32).to_le_bytes()).collect(),
            DType::U32 => self.data.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
            DType::U8 => self.data.iter().map(|&v| v as u8).collect(),
        };
        bytes.resize(self.ty.bytes() as usize, 0);
        bytes
    }

    /// The values of a device's representation.
    pub fn from_bytes(ty: TensorType, bytes: &[u8]) -> Array {
        let elements = ty.shape.elements();
        let words = || bytes.chunks_exact(4).map(|word| <[u8; 4]>::try_from(word).unwrap_or_default());
        let data = match ty.dtype {
            DType::F32 => words().map(|word| f64::from(f32::from_le_bytes(word))).take(elements).collect(),
            DType::U32 => words().map(|word| f64::from(u32::from_le_bytes(word))).take(elements).collect(),
            DType::U8 => bytes.iter().map(|&byte| f64::from(byte)).take(elements).collect(),
        };
        Array { ty, data }
    }

    /// The largest difference to `other`, relative to the largest absolute value in `other` (absolute if that is 0).
    /// Infinite if a value is NaN or the lengths differ.
    pub fn relative_error(&self, other: &Array) -> f64 {
        if self.data.len() != other.data.len() {
            return f64::INFINITY;
        }
        let largest = other.data.iter().fold(0.0f64, |largest, v| largest.max(v.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        self.data.iter().zip(&other.data).fold(0.0f64, |worst, (a, b)| {
            let error = (a - b).abs() / scale;
            if error.is_nan() { f64::INFINITY } else { worst.max(error) }
        })
    }
}

/// The random bits of a seed.
fn bits(seed: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |place| splitmix64(SPLITMIX64_STEP.wrapping_mul(seed.wrapping_add(place))))
}
