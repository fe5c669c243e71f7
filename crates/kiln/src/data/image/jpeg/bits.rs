//! The bits of a scan, and its Huffman codes.

use super::Problem;

/// The bits of a scan, zeros after a marker or the end of the file.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The lowest `count` bits come next.
    buffer: u64,
    count: u32,
    /// The number of padding bits at the lower end.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0, buffer: 0, count: 0, made_up: 0 }
    }

    /// Ensures at least 32 bits.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    Some(0xff)
                }
                Some([0xff, 0xff, ..]) => {
                    self.at += 1; // fill bytes before a marker
                    continue;
                }
                Some([0xff, ..]) | Some([]) | None => None,
                Some(&[byte, ..]) => {
                    self.at += 1;
                    Some(byte)
                }
            };
            self.buffer = self.buffer << 8 | u64::from(byte.unwrap_or(0));
            self.count += 8;
            self.made_up += if byte.is_none() { 8 } else { 0 };
        }
    }

    /// Whether padding bits were consumed.
    pub fn ended(&self) -> bool {
        self.count < self.made_up
    }

    /// The next bits as a number, at most 16.
    pub fn take(&mut self, bits: u32) -> u32 {
        if self.count < bits {
            self.fill();
        }
        self.count -= bits;
        (self.buffer >> self.count) as u32 & ((1 << bits) - 1)
    }

    pub fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    /// A number of this many bits, in the sign convention of JPEG.
    pub fn signed(&mut self, bits: u32) -> i32 {
        if bits == 0 {
            return 0;
        }
        let value = self.take(bits) as i32;
        if value < 1 << (bits - 1) { value - (1 << bits) + 1 } else { value }
    }

    /// The next symbol; 0 for an unknown code, as in libjpeg.
    pub fn symbol(&mut self, codes: &Codes) -> u8 {
        if self.count < 16 {
            self.fill();
        }
        let next = (self.buffer >> (self.count - 16)) as u16;
        let (symbol, length) = codes.find(next);
        self.count -= u32::from(length);
        symbol
    }

    /// Skips to after the next restart marker; returns false if another marker or the end comes first.
    pub fn restart(&mut self) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let marker = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff));
        match marker {
            Some(start) if matches!(rest[start + 1], 0xd0..=0xd7) => {
                *self = Bits { at: self.at + start + 2, ..Bits::new(self.bytes) };
                true
            }
            _ => false,
        }
    }

    /// The number of bytes read.
    pub fn used(&self) -> usize {
        self.at
    }
}

/// The number of bits of the lookup table.
const LOOKUP: u32 = 9;

/// A Huffman table.
#[derive(Clone)]
pub(super) struct Codes {
    /// The symbol and its code's length by the next 9 bits; length 0 for longer codes.
    short: Box<[(u8, u8); 1 << LOOKUP]>,
    /// For each length from 1: the first 16 bits beyond all codes up to this length.
    ends: [u32; 16],
    /// For each length: the offset from a code to the index of its symbol.
    places: [i32; 16],
    symbols: Vec<u8>,
}

impl Codes {
    /// Creates a table from the number of codes of each length from 1 to 16, and their symbols.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Codes, Problem> {
        let mut codes =
            Codes { short: Box::new([(0, 0); 1 << LOOKUP]), ends: [0; 16], places: [0; 16], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0u32, 0usize);
        for (index, &count) in counts.iter().enumerate() {
            let length = index as u32 + 1;
            codes.places[index] = place as i32 - code as i32;
            for _ in 0..count {
                let &symbol = symbols.get(place).ok_or(Problem::CutShort)?;
                if code >= 1 << length {
                    return Err(Problem::damaged("a Huffman table with too many codes"));
                }
                if length <= LOOKUP {
                    let first = (code << (LOOKUP - length)) as usize;
                    codes.short[first..first + (1 << (LOOKUP - length))].fill((symbol, length as u8));
                }
                (code, place) = (code + 1, place + 1);
            }
            codes.ends[index] = code << (16 - length);
            code <<= 1;
        }
        Ok(codes)
    }

    /// The symbol of the code at the start of these bits, and the code's length.
    fn find(&self, next: u16) -> (u8, u8) {
        let (symbol, length) = self.short[usize::from(next >> (16 - LOOKUP))];
        if length > 0 {
            return (symbol, length);
        }
        let long = (LOOKUP as usize..16).find(|&index| u32::from(next) < self.ends[index]);
        let Some(index) = long else { return (0, 16) };
        let code = i32::from(next >> (15 - index));
        let place = usize::try_from(code + self.places[index]).unwrap_or(usize::MAX);
        (self.symbols.get(place).copied().unwrap_or(0), index as u8 + 1)
    }
}
