//! A JPEG decoder with the values of libjpeg-turbo's defaults, as used by PIL and Keras: the accurate integer transform
//! (`islow`), triangle filters for subsampled chroma (`fancy upsampling`), and 16-bit colour conversion. All values are
//! identical, whereas other decoders differ by up to 6 levels.
//!
//! Supports what PIL supports, except arithmetic coding: 8 bits, baseline and progressive, 1, 3 or 4 components. Damage
//! within a scan affects only the pixels coded there, as in libjpeg; a truncated file is an error, as in PIL.

mod bits;
mod color;
mod frame;
mod idct;
mod marker;
mod planes;
mod progressive;
mod scan;
mod sequential;
mod upsample;

use crate::memory;
use frame::Frame;
use marker::{Marker, Segments};
use planes::Planes;
use progressive::Coefficients;
use scan::{Scan, Tables};

/// A decoded file.
pub(super) struct Jpeg {
    pub width: usize,
    pub height: usize,
    /// 1 for grayscale, 3 for RGB.
    pub channels: usize,
    pub values: Vec<u8>,
}

/// A reason why decoding fails.
#[derive(Debug)]
pub(super) enum Problem {
    /// The file is truncated.
    CutShort,
    /// The file is invalid or unsupported.
    Damaged(String),
    /// Decoding needs more memory than allowed, in bytes.
    Memory { height: usize, width: usize, needed: u64 },
}

impl Problem {
    fn damaged(problem: impl Into<String>) -> Problem {
        Problem::Damaged(problem.into())
    }
}

/// The blocks: decoded immediately, or after all scans have refined their coefficients.
enum Blocks {
    Sequential(Planes),
    Progressive(Coefficients),
}

/// Decodes a file that starts with JPEG's marker. `allow` decides whether this many bytes may be allocated.
pub(super) fn decode(bytes: &[u8], allow: impl FnOnce(u64) -> bool) -> Result<Jpeg, Problem> {
    let mut allow = Some(allow);
    let mut segments = Segments::new(bytes);
    let mut tables = Tables::default();
    let mut hints = color::Hints::default();
    let mut image: Option<(Frame, Blocks)> = None;
    loop {
        let (marker, body) = segments.next()?;
        match marker {
            Marker::App(0) => hints.jfif |= body.starts_with(b"JFIF\0"),
            Marker::App(14) => hints.read_adobe(body),
            Marker::App(_) | Marker::Other => {}
            Marker::Quantization => tables.read_quantization(body)?,
            Marker::Huffman => tables.read_huffman(body)?,
            Marker::RestartInterval => tables.read_restart_interval(body)?,
            Marker::Frame { progressive } => {
                if image.is_some() {
                    return Err(Problem::damaged("it has two frames"));
                }
                let frame = Frame::read(body)?;
                // Each block of the finest component needs at least a bit.
                if frame.height * frame.width > bytes.len().saturating_mul(8 * 64) + 64 {
                    return Err(Problem::CutShort);
                }
                let needed = frame.bytes(progressive);
                let Frame { height, width, .. } = frame;
                let no_memory = || Problem::Memory { height, width, needed };
                if !allow.take().is_some_and(|allow| allow(needed)) {
                    return Err(no_memory());
                }
                let blocks = match progressive {
                    true => Coefficients::new(&frame).map(Blocks::Progressive),
                    false => Planes::new(&frame).map(Blocks::Sequential),
                };
                image = Some((frame, blocks.map_err(|_| no_memory())?));
            }
            Marker::Scan => {
                let Some((frame, blocks)) = &mut image else {
                    return Err(Problem::damaged("a scan before the frame"));
                };
                let scan = Scan::read(body, frame)?;
                tables.latch(&scan, frame)?;
                let rest = segments.rest();
                let used = match blocks {
                    Blocks::Sequential(planes) => sequential::decode(rest, &scan, frame, &tables, planes)?,
                    Blocks::Progressive(coefficients) => {
                        progressive::decode(rest, &scan, frame, &tables, coefficients)?
                    }
                };
                segments.skip(used);
            }
            Marker::End => break,
            Marker::Unsupported(kind) => return Err(Problem::damaged(format!("{kind} is not supported"))),
        }
    }
    let Some((frame, blocks)) = image else { return Err(Problem::CutShort) };
    if frame.components.iter().any(|component| component.quantization.is_none()) {
        return Err(Problem::damaged("a component without a scan"));
    }
    let no_memory = || Problem::Memory { height: frame.height, width: frame.width, needed: frame.bytes(true) };
    let planes = match blocks {
        Blocks::Sequential(planes) => planes,
        Blocks::Progressive(coefficients) => coefficients.into_planes(&frame).map_err(|_| no_memory())?,
    };
    let colors = hints.colors(&frame)?;
    let mut values = memory::zeroed(frame.height * frame.width * colors.channels()).map_err(|_| no_memory())?;
    upsample::interleave(&frame, &planes, colors, &mut values)?;
    Ok(Jpeg { width: frame.width, height: frame.height, channels: colors.channels(), values })
}

#[cfg(test)]
mod tests;
