//! Baseline scans.

use super::Problem;
use super::bits::{Bits, Codes};
use super::frame::Frame;
use super::planes::Planes;
use super::scan::{Scan, Tables, place};

/// Decodes a scan into the planes. Returns its number of bytes.
pub(super) fn decode(
    bytes: &[u8],
    scan: &Scan,
    frame: &Frame,
    tables: &Tables,
    planes: &mut Planes,
) -> Result<usize, Problem> {
    let mut codes = Vec::with_capacity(scan.parts.len());
    for part in &scan.parts {
        codes.push((tables.dc(part)?, tables.ac(part)?));
    }
    let restarted = || [0i32; 4];
    let used = scan.each_block(frame, (tables.restart_interval, bytes), restarted, |bits, last, index, at| {
        let component = scan.parts[index].component;
        let coefficients = block(bits, codes[index], &mut last[index]);
        if let Some(quantization) = &frame.components[component].quantization {
            planes.0[component].put(at, &coefficients, quantization);
        }
    });
    Ok(used)
}

/// Decodes the coefficients of a block; the DC coefficient is coded as the difference from the previous block's.
fn block(bits: &mut Bits<'_>, (dc, ac): (&Codes, &Codes), last: &mut i32) -> [i16; 64] {
    let mut coefficients = [0; 64];
    let size = u32::from(bits.symbol(dc)).min(16);
    *last = last.wrapping_add(bits.signed(size));
    coefficients[0] = *last as i16;
    let mut index = 1;
    while index < 64 {
        let symbol = bits.symbol(ac);
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => index += 16,
            (_, 0) => break,
            _ => {
                index += zeros;
                coefficients[place(index)] = bits.signed(size) as i16;
                index += 1;
            }
        }
    }
    coefficients
}
