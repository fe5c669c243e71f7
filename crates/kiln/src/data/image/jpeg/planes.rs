//! The samples of each component before chroma upsampling.

use std::io;

use super::frame::{Component, Frame};
use super::idct::idct;
use crate::memory;

/// The samples of all components.
pub(super) struct Planes(pub Vec<Plane>);

/// The samples of a component in row-major order.
pub(super) struct Plane {
    pub values: Vec<u8>,
    /// The number of samples per row, including those that pad the last units.
    pub stride: usize,
}

impl Planes {
    pub fn new(frame: &Frame) -> io::Result<Planes> {
        let plane = |component: &Component| {
            let [width, height] = component.padded;
            Ok(Plane { values: memory::zeroed(width * height * 64)?, stride: width * 8 })
        };
        frame.components.iter().map(plane).collect::<io::Result<_>>().map(Planes)
    }
}

impl Plane {
    /// Transforms a block of coefficients and stores it at `[column, row]`.
    pub fn put(&mut self, [column, row]: [usize; 2], coefficients: &[i16; 64], quantization: &[u16; 64]) {
        let start = row * 8 * self.stride + column * 8;
        if let Some(place) = self.values.get_mut(start..) {
            idct(coefficients, quantization, place, self.stride);
        }
    }

    /// A row of samples.
    pub fn row(&self, row: usize) -> &[u8] {
        self.values.get(row * self.stride..).and_then(|rest| rest.get(..self.stride)).unwrap_or_default()
    }
}
