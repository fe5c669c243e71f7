//! The kernels' random numbers: `shaders/lib/random.wgsl` in Rust, bit-identical.

/// Four random words, draw number `counter` of stream `stream`: pcg4d of M. Jarzynski and M. Olano, "Hash Functions for
/// GPU Rendering", JCGT 9 (3), 2020. The highest bits of a word mix least: draws are independent for counters below
/// 2^24, and if streams and keys do not differ in their eight highest bits only.
pub(crate) fn random4(counter: u32, stream: u32, key: [u32; 2]) -> [u32; 4] {
    let seeded = [counter, stream, key[0], key[1]].map(|word| word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    mix4(mix4(seeded).map(|word| word ^ (word >> 16)))
}

fn mix4([x, y, z, w]: [u32; 4]) -> [u32; 4] {
    let x = x.wrapping_add(y.wrapping_mul(w));
    let y = y.wrapping_add(z.wrapping_mul(x));
    let z = z.wrapping_add(x.wrapping_mul(y));
    let w = w.wrapping_add(y.wrapping_mul(z));
    [x, y, z, w]
}

/// Uniform in `[0, 1)`: one of 2^24 values.
pub(crate) fn uniform_of(word: u32) -> f64 {
    f64::from(word >> 8) / f64::from(1u32 << 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [[u32; 2]; 4] = [[0, 0], [1, 0], [0x9E37_79B9, 0x7F4A_7C15], [u32::MAX, u32::MAX]];
    const DRAWS: u32 = 1 << 16;

    /// Pearson's chi-squared statistic of pairs in `[0, 1)` on a grid of 16 x 16. It is 255 ± 23 for independent
    /// uniform pairs.
    fn unevenness(pairs: impl Iterator<Item = [f64; 2]>) -> f64 {
        let mut cells = [0.0; 256];
        pairs.for_each(|[a, b]| cells[(a * 16.0) as usize * 16 + (b * 16.0) as usize] += 1.0);
        let expected = cells.iter().sum::<f64>() / 256.0;
        cells.iter().map(|cell| (cell - expected).powi(2) / expected).sum()
    }

    /// Asserts that the words of these two draws are uniform and independent.
    fn assert_independent(what: &str, draws: impl Fn(u32) -> [[u32; 4]; 2]) {
        for (first, second) in (0..4).flat_map(|first| (0..4).map(move |second| (first, second))) {
            let pairs = (0..DRAWS).map(&draws).map(|[a, b]| [uniform_of(a[first]), uniform_of(b[second])]);
            let found = unevenness(pairs);
            assert!((130.0..380.0).contains(&found), "{what}, words {first} and {second}: {found}");
        }
    }

    #[test]
    fn uniform_values_reach_zero_but_not_one() {
        assert_eq!(uniform_of(0xff), 0.0);
        assert_eq!(uniform_of(u32::MAX), 1.0 - f64::from(f32::EPSILON) / 2.0);
    }

    #[test]
    fn a_draw_depends_on_counter_stream_and_both_words_of_the_key() {
        let first = random4(3, 1, [257, 7]);
        assert_eq!(random4(3, 1, [257, 7]), first);
        for other in
            [random4(4, 1, [257, 7]), random4(3, 2, [257, 7]), random4(3, 1, [256, 7]), random4(3, 1, [257, 6])]
        {
            assert!(first.iter().zip(other).all(|(&word, other)| word != other), "{first:?} {other:?}");
        }
    }

    #[test]
    fn every_bit_that_is_used_is_set_half_the_time() {
        for key in KEYS {
            let mut set = [[0u32; 32]; 4];
            for words in (0..DRAWS).map(|counter| random4(counter, 1, key)) {
                for (set, word) in set.iter_mut().zip(words) {
                    set.iter_mut().enumerate().for_each(|(bit, set)| *set += word >> bit & 1);
                }
            }
            for share in set.iter().flat_map(|set| &set[8..]).map(|&set| f64::from(set) / f64::from(DRAWS)) {
                assert!((share - 0.5).abs() < 0.01, "{key:?}: {share}");
            }
        }
    }

    #[test]
    fn the_words_of_a_draw_are_independent() {
        for (first, second) in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)] {
            for key in KEYS {
                let words = (0..DRAWS).map(|counter| random4(counter, 1, key));
                let found = unevenness(words.map(|words| [uniform_of(words[first]), uniform_of(words[second])]));
                assert!((130.0..380.0).contains(&found), "{key:?}, words {first} and {second}: {found}");
            }
        }
    }

    #[test]
    fn neighbouring_counters_are_independent() {
        for distance in [1, 2, 3, 64, 257, 1 << 16, 1 << 23] {
            for key in KEYS {
                let what = format!("counters {distance} apart, {key:?}");
                assert_independent(&what, |counter| [random4(counter, 1, key), random4(counter + distance, 1, key)]);
            }
        }
    }

    #[test]
    fn streams_are_independent() {
        for streams in [[0, 1], [1, 2], [1, 257], [1, 0xffff_ff00], [0xffff_ff00, 0xffff_ff01]] {
            for key in KEYS {
                assert_independent(&format!("streams {streams:?}, {key:?}"), |counter| {
                    streams.map(|stream| random4(counter, stream, key))
                });
            }
        }
    }

    #[test]
    fn keys_are_independent() {
        for key in KEYS {
            for change in [[1, 0], [0, 1], [1, 1], [1 << 16, 0], [0, 1 << 16]] {
                let other = [key[0] ^ change[0], key[1] ^ change[1]];
                let what = format!("keys {key:?} and {other:?}");
                assert_independent(&what, |counter| [random4(counter, 1, key), random4(counter, 1, other)]);
            }
        }
    }
}
