//! The bits of a scan, and Huffman's codes in them.

use super::Problem;

/// The bits of a scan. Behind a marker, or the end of the file, they are zeros without end.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The lowest `count` bits are those that come next.
    buffer: u64,
    count: u32,
    /// How many of them, at the lower end, were made up.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Bits<'a> {
        Bits { bytes, at: 0, buffer: 0, count: 0, made_up: 0 }
    }

    /// Makes sure that there are 32 bits at least.
    fn fill(&mut self) {
        while self.count <= 48 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    Some(0xff)
                }
                Some([0xff, 0xff, ..]) => {
                    self.at += 1; // fills up before a marker
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

    /// Whether bits were taken that are not in the file.
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

    /// A number of so many bits whose first bit tells its sign.
    pub fn signed(&mut self, bits: u32) -> i32 {
        if bits == 0 {
            return 0;
        }
        let value = self.take(bits) as i32;
        if value < 1 << (bits - 1) { value - (1 << bits) + 1 } else { value }
    }

    /// The next symbol; 0 for a code that the table has not, as libjpeg.
    pub fn symbol(&mut self, codes: &Codes) -> u8 {
        if self.count < 16 {
            self.fill();
        }
        let next = (self.buffer >> (self.count - 16)) as u16;
        let (symbol, length) = codes.find(next);
        self.count -= u32::from(length);
        symbol
    }

    /// Goes on behind the next restart marker, or tells that another marker or the end comes first.
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

    /// How many bytes were read.
    pub fn used(&self) -> usize {
        self.at
    }
}

/// How many bits are looked up at once.
const LOOKUP: u32 = 9;

/// A table of Huffman's codes.
#[derive(Clone)]
pub(super) struct Codes {
    /// By the next 9 bits: the symbol and its code's length, 0 for longer codes.
    short: Box<[(u8, u8); 1 << LOOKUP]>,
    /// Of each length from 1 on: the first 16 bits that no code up to this length begins with.
    ends: [u32; 16],
    /// Of each length: what added to a code's number makes the place of its symbol.
    places: [i32; 16],
    symbols: Vec<u8>,
}

impl Codes {
    /// The table with so many codes of each length from 1 to 16, for these symbols.
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

    /// The symbol whose code these bits begin with, and the code's length.
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
