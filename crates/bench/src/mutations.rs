//! Damaged files, the same in every run, for tests that no input file can crash the process.

use kiln::graph::{SPLITMIX64_STEP, splitmix64};

/// The environment variable with the number of mutations of each file, for longer runs.
pub const FUZZ_VARIABLE: &str = "KILN_FUZZ";

/// Numbers that a reader may not check.
const FIGURES: [u64; 10] =
    [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x7fff_ffff_ffff_ffff, u64::MAX];

/// The same for text.
const WORDS: [&[u8]; 12] = [
    b"0",
    b"-1",
    b"1e999",
    b"4294967296",
    b"99999999999999999999",
    b"0.5",
    b"null",
    b"true",
    b"\"\"",
    b"[]",
    b"{}",
    b"[[[[",
];

/// Damaged copies of a file: `KILN_FUZZ` many, by default `usual`. Bits and bytes are changed, numbers replaced by very
/// small or large ones, parts deleted, duplicated, swapped or truncated. They depend only on the seed.
pub fn mutations(bytes: &[u8], seed: u64, usual: usize) -> impl Iterator<Item = Vec<u8>> {
    let said = std::env::var(FUZZ_VARIABLE).ok().and_then(|text| text.trim().parse().ok());
    let count = said.unwrap_or(usual);
    (0..count as u64).map(move |number| {
        let mut random = Random(seed.wrapping_mul(SPLITMIX64_STEP) ^ (number + 1));
        let mut mutated = bytes.to_vec();
        for _ in 0..1 + random.below(3) {
            mutate(&mut mutated, &mut random);
        }
        mutated
    })
}

/// The state of splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        let bits = splitmix64(self.0);
        self.0 = self.0.wrapping_add(SPLITMIX64_STEP);
        bits
    }

    /// A number below `end`, 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }

    /// A position in a file, most often in the header.
    fn place(&mut self, length: usize) -> usize {
        let end = if self.below(2) == 0 { length.min(512) } else { length };
        self.below(end)
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.place(length);
        start..(start + 1 + self.below(64)).min(length)
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.next() as u8);
        return;
    }
    let length = bytes.len();
    match random.below(10) {
        0 | 1 => bytes[random.place(length)] ^= 1 << random.below(8),
        2 => bytes[random.place(length)] = random.next() as u8,
        3 => bytes.truncate(random.place(length)),
        4 => drop(bytes.drain(random.range(length))),
        5 => {
            let part = bytes[random.range(length)].to_vec();
            let place = random.place(length);
            bytes.splice(place..place, part);
        }
        6 | 7 => {
            let (figure, width) = (FIGURES[random.below(FIGURES.len())], 1 << random.below(4));
            let (little, big) = (figure.to_le_bytes(), figure.to_be_bytes());
            let figure = if random.below(2) == 0 { &little[..width] } else { &big[8 - width..] };
            let place = random.place(length);
            let end = (place + width).min(length);
            bytes[place..end].copy_from_slice(&figure[..end - place]);
        }
        8 => {
            let part: Vec<u8> = bytes[random.range(length)].iter().rev().copied().collect();
            let place = random.place(length);
            let end = (place + part.len()).min(length);
            bytes[place..end].copy_from_slice(&part[..end - place]);
        }
        _ => word(bytes, random),
    }
}

/// Replaces a number in a text.
fn word(bytes: &mut Vec<u8>, random: &mut Random) {
    let from = random.below(bytes.len());
    let digit = |&byte: &u8| byte.is_ascii_digit() || byte == b'.';
    let Some(start) = bytes[from..].iter().position(digit).map(|at| from + at) else { return };
    let end = bytes[start..].iter().position(|byte| !digit(byte)).map_or(bytes.len(), |at| start + at);
    bytes.splice(start..end, WORDS[random.below(WORDS.len())].iter().copied());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_are_the_same_in_every_run_and_differ_from_the_file() {
        let file: Vec<u8> = (0..200).collect();
        let all = || mutations(&file, 7, 50).collect::<Vec<_>>();
        assert_eq!(all(), all());
        assert!(all().iter().filter(|mutated| **mutated != file).count() > 40);
        assert_ne!(all(), mutations(&file, 8, 50).collect::<Vec<_>>());
    }

    #[test]
    fn an_empty_file_has_mutations_too() {
        assert!(mutations(&[], 1, 20).any(|mutated| !mutated.is_empty()));
    }
}
