//! The frame: an image's size and its components.

use super::Problem;

/// An image's size and its components.
pub(super) struct Frame {
    pub height: usize,
    pub width: usize,
    pub components: Vec<Component>,
    /// The highest sampling factors, along x and y.
    pub sampling: [usize; 2],
    /// The number of units (MCUs) along x and y.
    pub units: [usize; 2],
}

/// A component of an image: luma or chroma.
pub(super) struct Component {
    pub id: u8,
    /// Its number of blocks per unit, along x and y.
    pub sampling: [usize; 2],
    /// The number of its quantization table.
    pub table: u8,
    /// That table, from its first scan on, in block order.
    pub quantization: Option<Box<[u16; 64]>>,
    /// Its size in samples.
    pub size: [usize; 2],
    /// Its size in blocks.
    pub blocks: [usize; 2],
    /// Its size in blocks, including those that pad the last units.
    pub padded: [usize; 2],
}

impl Frame {
    pub fn read(body: &[u8]) -> Result<Frame, Problem> {
        let &[bits, h1, h0, w1, w0, count, ref rest @ ..] = body else { return Err(Problem::CutShort) };
        let [height, width] = [[h1, h0], [w1, w0]].map(|side| usize::from(u16::from_be_bytes(side)));
        if bits != 8 {
            return Err(Problem::damaged(format!("{bits} bits per value are not supported")));
        }
        if height == 0 || width == 0 || !matches!(count, 1 | 3 | 4) || rest.len() != 3 * usize::from(count) {
            return Err(Problem::damaged(format!("a frame of {height} x {width} with {count} components")));
        }
        let factors = |byte: u8| [usize::from(byte >> 4), usize::from(byte & 15)];
        let all: Vec<[usize; 2]> = rest.chunks_exact(3).map(|component| factors(component[1])).collect();
        if all.iter().flatten().any(|factor| !(1..=4).contains(factor)) {
            return Err(Problem::damaged("a sampling factor that is not 1 to 4"));
        }
        let sampling = [0, 1].map(|axis| all.iter().map(|factors| factors[axis]).max().unwrap_or(1));
        let units = [width.div_ceil(8 * sampling[0]), height.div_ceil(8 * sampling[1])];
        let component = |(bytes, factors): (&[u8], &[usize; 2])| {
            let size = [(width * factors[0]).div_ceil(sampling[0]), (height * factors[1]).div_ceil(sampling[1])];
            Component {
                id: bytes[0],
                sampling: *factors,
                table: bytes[2],
                quantization: None,
                size,
                blocks: size.map(|side| side.div_ceil(8)),
                padded: [units[0] * factors[0], units[1] * factors[1]],
            }
        };
        let components = rest.chunks_exact(3).zip(&all).map(component).collect();
        Ok(Frame { height, width, components, sampling, units })
    }

    /// The memory for decoding in bytes: planes, coefficients if they are kept, and the image.
    pub fn bytes(&self, progressive: bool) -> u64 {
        let samples: usize =
            self.components.iter().map(|component| component.padded[0] * component.padded[1] * 64).sum();
        let per_sample = if progressive { 3 } else { 1 };
        samples as u64 * per_sample + (self.height * self.width * self.components.len()) as u64
    }
}
