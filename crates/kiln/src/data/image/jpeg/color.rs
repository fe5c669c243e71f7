//! Converts YCbCr to RGB: `R = Y + 1.402 Cr`, `G = Y - 0.344 Cb - 0.714 Cr`, `B = Y + 1.772 Cb`, with 16-bit factors,
//! rounded as in libjpeg.

use super::Problem;
use super::frame::Frame;

/// The colour information of a file, in addition to the components.
#[derive(Default)]
pub(super) struct Hints {
    pub jfif: bool,
    /// The transform in Adobe's segment.
    adobe: Option<u8>,
}

/// The colour space of the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colors {
    Grey,
    Rgb,
    YCbCr,
    /// Inverted, as written by all programs.
    Cmyk,
    /// Inverted CMYK, with the first three components as `YCbCr`.
    Ycck,
}

impl Hints {
    pub fn read_adobe(&mut self, body: &[u8]) {
        if body.starts_with(b"Adobe")
            && let Some(&transform) = body.get(11)
        {
            self.adobe = Some(transform);
        }
    }

    /// The colour space, by libjpeg's rules.
    pub fn colors(&self, frame: &Frame) -> Result<Colors, Problem> {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        Ok(match (&ids[..], self.adobe) {
            ([_], _) => Colors::Grey,
            ([_, _, _], _) if self.jfif => Colors::YCbCr,
            ([_, _, _], Some(0)) => Colors::Rgb,
            ([b'R', b'G', b'B'], None) => Colors::Rgb,
            ([_, _, _], _) => Colors::YCbCr,
            ([_, _, _, _], None | Some(0)) => Colors::Cmyk,
            ([_, _, _, _], _) => Colors::Ycck,
            _ => return Err(Problem::damaged(format!("{} components", ids.len()))),
        })
    }
}

impl Colors {
    /// The channels of the image.
    pub fn channels(self) -> usize {
        if self == Colors::Grey { 1 } else { 3 }
    }

    /// Converts a row of each component to a row of the image.
    pub fn convert(self, lines: &[Vec<u8>], out: &mut [u8]) {
        match (self, lines) {
            (Colors::Grey, [grey, ..]) => out.copy_from_slice(&grey[..out.len()]),
            (Colors::Rgb, [r, g, b, ..]) => {
                for (((out, &r), &g), &b) in out.chunks_exact_mut(3).zip(r).zip(g).zip(b) {
                    out.copy_from_slice(&[r, g, b]);
                }
            }
            (Colors::YCbCr, [y, cb, cr, ..]) => {
                for (((out, &y), &cb), &cr) in out.chunks_exact_mut(3).zip(y).zip(cb).zip(cr) {
                    out.copy_from_slice(&rgb([y, cb, cr]));
                }
            }
            (Colors::Cmyk, [c, m, y, k]) => {
                for ((((out, &c), &m), &y), &k) in out.chunks_exact_mut(3).zip(c).zip(m).zip(y).zip(k) {
                    out.copy_from_slice(&[c, m, y].map(|ink| printed(ink, k)));
                }
            }
            (Colors::Ycck, [y, cb, cr, k]) => {
                for ((((out, &y), &cb), &cr), &k) in out.chunks_exact_mut(3).zip(y).zip(cb).zip(cr).zip(k) {
                    out.copy_from_slice(&rgb([y, cb, cr]).map(|colour| printed(255 - colour, k)));
                }
            }
            _ => {}
        }
    }
}

fn rgb([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let r = y + ((91_881 * cr + HALF) >> 16);
    let g = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let b = y + ((116_130 * cb + HALF) >> 16);
    [r, g, b].map(|value| value.clamp(0, 255) as u8)
}

/// `k - (255 - ink) k / 255` for inverted inks, as in PIL's conversion of CMYK.
fn printed(ink: u8, k: u8) -> u8 {
    let product = (255 - u32::from(ink)) * u32::from(k) + 128;
    (u32::from(k) - (((product >> 8) + product) >> 8)).min(255) as u8
}
