//! Scans and their tables.

use super::Problem;
use super::bits::{Bits, Codes};
use super::frame::{Component, Frame};

/// The positions in a block of coefficients in zigzag order.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

/// The position of a coefficient, clamped to the last for damaged files.
pub(super) fn place(index: usize) -> usize {
    usize::from(ZIGZAG[index.min(63)])
}

/// The tables for the next scan.
#[derive(Default)]
pub(super) struct Tables {
    quantization: [Option<Box<[u16; 64]>>; 4],
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    /// The number of units between two restart markers; 0 for none.
    pub restart_interval: usize,
}

impl Tables {
    pub fn read_quantization(&mut self, mut body: &[u8]) -> Result<(), Problem> {
        while let Some((&head, rest)) = body.split_first() {
            let width = if head >> 4 == 0 { 1 } else { 2 };
            let (values, rest) = rest.split_at_checked(64 * width).ok_or(Problem::CutShort)?;
            let table = self.quantization.get_mut(usize::from(head & 15));
            let table = table.ok_or_else(|| Problem::damaged("a quantization table beyond the fourth"))?;
            let mut factors = Box::new([0; 64]);
            for (index, value) in values.chunks_exact(width).enumerate() {
                factors[place(index)] = value.iter().fold(0, |sum, &byte| sum << 8 | u16::from(byte));
            }
            *table = Some(factors);
            body = rest;
        }
        Ok(())
    }

    pub fn read_huffman(&mut self, mut body: &[u8]) -> Result<(), Problem> {
        while let Some((&head, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or(Problem::CutShort)?;
            let count: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or(Problem::CutShort)?;
            let kind = if head >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let table = kind.get_mut(usize::from(head & 15)).filter(|_| head >> 4 < 2 && count <= 256);
            let table = table.ok_or_else(|| Problem::damaged("a Huffman table of an unknown kind"))?;
            *table = Some(Codes::new(counts, symbols)?);
            body = rest;
        }
        Ok(())
    }

    pub fn read_restart_interval(&mut self, body: &[u8]) -> Result<(), Problem> {
        let bytes = body.first_chunk().ok_or(Problem::CutShort)?;
        self.restart_interval = usize::from(u16::from_be_bytes(*bytes));
        Ok(())
    }

    /// Assigns the current quantization tables to the components of a scan that have none yet.
    pub fn latch(&self, scan: &Scan, frame: &mut Frame) -> Result<(), Problem> {
        for part in &scan.parts {
            let component = &mut frame.components[part.component];
            if component.quantization.is_none() {
                let table = self.quantization.get(usize::from(component.table)).cloned().flatten();
                component.quantization = Some(table.ok_or_else(|| Problem::damaged("a missing quantization table"))?);
            }
        }
        Ok(())
    }

    pub fn dc(&self, part: &Part) -> Result<&Codes, Problem> {
        codes(&self.dc, part.dc)
    }

    pub fn ac(&self, part: &Part) -> Result<&Codes, Problem> {
        codes(&self.ac, part.ac)
    }
}

fn codes(tables: &[Option<Codes>; 4], index: u8) -> Result<&Codes, Problem> {
    let found = tables.get(usize::from(index)).and_then(Option::as_ref);
    found.ok_or_else(|| Problem::damaged("a missing Huffman table"))
}

/// The header of a scan.
pub(super) struct Scan {
    pub parts: Vec<Part>,
    /// The first and the last coefficient, in zigzag order.
    pub band: [usize; 2],
    /// The number of low bits that earlier scans have left out; `None` for the first scan.
    pub after: Option<u32>,
    /// The number of low bits that this scan leaves out.
    pub shift: u32,
}

/// A component in a scan.
pub(super) struct Part {
    /// Its index in the frame.
    pub component: usize,
    dc: u8,
    ac: u8,
}

impl Scan {
    pub fn read(body: &[u8], frame: &Frame) -> Result<Scan, Problem> {
        let (&count, rest) = body.split_first().ok_or(Problem::CutShort)?;
        let (components, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or(Problem::CutShort)?;
        let &[first, last, bits] = rest else { return Err(Problem::damaged("a scan's header of a wrong length")) };
        let part = |pair: &[u8]| {
            let component = frame.components.iter().position(|component| component.id == pair[0]);
            let component = component.ok_or_else(|| Problem::damaged("a scan of a component that there is not"))?;
            Ok(Part { component, dc: pair[1] >> 4, ac: pair[1] & 15 })
        };
        let parts: Vec<Part> = components.chunks_exact(2).map(part).collect::<Result<_, Problem>>()?;
        let twice = (1..parts.len()).any(|i| parts[..i].iter().any(|part| part.component == parts[i].component));
        if !(1..=4).contains(&parts.len()) || twice {
            return Err(Problem::damaged("a scan of none or too many components"));
        }
        let band = [usize::from(first), usize::from(last)];
        let after = Some(u32::from(bits >> 4)).filter(|&bits| bits > 0);
        Ok(Scan { parts, band, after, shift: u32::from(bits & 15) })
    }

    /// Calls `block` for each block of the scan in order, with the index of its component in the scan and its position.
    /// Resets `state` at restart markers, and stops at the end of the data. Returns the number of bytes read.
    pub fn each_block<S>(
        &self,
        frame: &Frame,
        (restart_interval, bytes): (usize, &[u8]),
        restarted: impl Fn() -> S,
        mut block: impl FnMut(&mut Bits<'_>, &mut S, usize, [usize; 2]),
    ) -> usize {
        let mut bits = Bits::new(bytes);
        let mut state = restarted();
        let parts: Vec<&Component> = self.parts.iter().map(|part| &frame.components[part.component]).collect();
        // A scan of a single component has no units: its blocks are in row-major order.
        let [columns, rows] = if let [only] = parts[..] { only.blocks } else { frame.units };
        for unit in 0..columns * rows {
            if restart_interval > 0 && unit > 0 && unit % restart_interval == 0 {
                if !bits.restart() {
                    break;
                }
                state = restarted();
            }
            if bits.ended() {
                if restart_interval == 0 {
                    break;
                }
                continue; // until the next restart
            }
            let (column, row) = (unit % columns, unit / columns);
            if let [_] = parts[..] {
                block(&mut bits, &mut state, 0, [column, row]);
                continue;
            }
            for (index, component) in parts.iter().enumerate() {
                let [across, down] = component.sampling;
                for y in 0..down {
                    for x in 0..across {
                        block(&mut bits, &mut state, index, [column * across + x, row * down + y]);
                    }
                }
            }
        }
        bits.used()
    }
}
