//! Progressive scans, each of which refines the image.

use std::io;

use super::Problem;
use super::bits::{Bits, Codes};
use super::frame::{Component, Frame};
use super::planes::Planes;
use super::scan::{Scan, Tables, place};
use crate::memory;

/// The coefficients of all blocks of each component.
pub(super) struct Coefficients(Vec<Vec<[i16; 64]>>);

impl Coefficients {
    pub fn new(frame: &Frame) -> io::Result<Coefficients> {
        let of = |component: &Component| {
            let count = component.padded[0] * component.padded[1];
            let mut blocks = memory::with_capacity(count)?;
            blocks.resize(count, [0; 64]);
            Ok(blocks)
        };
        frame.components.iter().map(of).collect::<io::Result<_>>().map(Coefficients)
    }

    pub fn into_planes(self, frame: &Frame) -> io::Result<Planes> {
        let mut planes = Planes::new(frame)?;
        for ((component, blocks), plane) in frame.components.iter().zip(self.0).zip(&mut planes.0) {
            let Some(quantization) = &component.quantization else { continue };
            for (index, block) in blocks.iter().enumerate() {
                plane.put([index % component.padded[0], index / component.padded[0]], block, quantization);
            }
        }
        Ok(planes)
    }
}

/// The state passed from block to block.
struct State {
    /// The DC coefficient of each component's previous block.
    last: [i32; 4],
    /// The number of following blocks without further coefficients in this band.
    run: u32,
}

/// Adds a scan to the coefficients. Returns its number of bytes.
pub(super) fn decode(
    bytes: &[u8],
    scan: &Scan,
    frame: &Frame,
    tables: &Tables,
    coefficients: &mut Coefficients,
) -> Result<usize, Problem> {
    let [first, last] = scan.band;
    let is_dc = first == 0;
    if last > 63 || first > last || (is_dc && last > 0) || (!is_dc && scan.parts.len() > 1) || scan.shift > 13 {
        return Err(Problem::damaged("a scan of coefficients that do not belong together"));
    }
    let mut codes = Vec::new();
    for part in &scan.parts {
        match (is_dc, scan.after) {
            (true, None) => codes.push(tables.dc(part)?),
            (true, Some(_)) => {} // single bits
            (false, _) => codes.push(tables.ac(part)?),
        }
    }
    let restarted = || State { last: [0; 4], run: 0 };
    let used = scan.each_block(frame, (tables.restart_interval, bytes), restarted, |bits, state, index, at| {
        let component = scan.parts[index].component;
        let width = frame.components[component].padded[0];
        let Some(block) = coefficients.0[component].get_mut(at[1] * width + at[0]) else { return };
        match (is_dc, scan.after, codes.get(index)) {
            (true, None, Some(codes)) => {
                let size = u32::from(bits.symbol(codes)).min(16);
                state.last[index] = state.last[index].wrapping_add(bits.signed(size));
                block[0] = (state.last[index] << scan.shift) as i16;
            }
            (true, ..) => block[0] |= i16::from(bits.flag()) << scan.shift,
            (false, None, Some(codes)) => begin(bits, codes, block, scan, &mut state.run),
            (false, _, Some(codes)) => refine(bits, codes, block, scan, &mut state.run),
            (false, _, None) => {}
        }
    });
    Ok(used)
}

/// The length of a run of blocks that begins with this one, excluding it.
fn run_length(bits: &mut Bits<'_>, size: u32) -> u32 {
    (1 << size) - 1 + if size > 0 { bits.take(size) } else { 0 }
}

/// Decodes the upper bits of a band of a block's coefficients.
fn begin(bits: &mut Bits<'_>, codes: &Codes, block: &mut [i16; 64], scan: &Scan, run: &mut u32) {
    if *run > 0 {
        *run -= 1;
        return;
    }
    let mut index = scan.band[0];
    while index <= scan.band[1] {
        let symbol = bits.symbol(codes);
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        match (zeros, size) {
            (15, 0) => index += 16,
            (zeros, 0) => {
                *run = run_length(bits, zeros as u32);
                return;
            }
            _ => {
                index += zeros;
                block[place(index)] = (bits.signed(size) << scan.shift) as i16;
                index += 1;
            }
        }
    }
}

/// Decodes one more bit of a band of a block's coefficients: of nonzero ones and of those that become nonzero.
fn refine(bits: &mut Bits<'_>, codes: &Codes, block: &mut [i16; 64], scan: &Scan, run: &mut u32) {
    let bit = 1i16 << scan.shift;
    let [mut index, last] = scan.band;
    if *run == 0 {
        while index <= last {
            let symbol = bits.symbol(codes);
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let new = match (zeros, size) {
                (15, 0) => 0,
                (zeros, 0) => {
                    *run = run_length(bits, u32::from(zeros)) + 1;
                    break;
                }
                _ if bits.flag() => bit,
                _ => -bit,
            };
            while index <= last {
                let value = &mut block[place(index)];
                if *value != 0 {
                    correct(bits, value, bit);
                } else if zeros == 0 {
                    *value = new;
                    index += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                index += 1;
            }
        }
    }
    if *run > 0 {
        for index in index..=last {
            let value = &mut block[place(index)];
            if *value != 0 {
                correct(bits, value, bit);
            }
        }
        *run -= 1;
    }
}

/// Adds a bit to a coefficient, away from zero, unless it is set already.
fn correct(bits: &mut Bits<'_>, value: &mut i16, bit: i16) {
    if bits.flag() && *value & bit == 0 {
        *value = value.wrapping_add(if *value > 0 { bit } else { -bit });
    }
}
