//! Counter-based random numbers, which depend only on a key: the same in any order and on any number of threads.

use kiln_graph::splitmix64;

/// The purpose of a draw, which makes draws with equal seeds independent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stream {
    /// The initial values of a variable: keyed by seed, variable and element.
    Initializer,
    /// The order of an epoch's samples: keyed by seed, epoch and position.
    Order,
    /// Draws on the device in a training step: keyed by seed and the number of previous steps.
    Step,
    /// The order of the files of a folder: keyed by seed and position.
    Files,
    /// Draws on the device in an evaluation or prediction step: keyed by seed, the number of previous training steps,
    /// and the number of such steps since.
    Inference,
    /// Draws of a layer with its own seed: keyed by that seed.
    Layer,
}

/// 64 random bits for a key: each word is added to the state, which [`splitmix64`] then mixes.
pub(crate) fn bits(stream: Stream, key: [u64; 3]) -> u64 {
    key.into_iter().fold(splitmix64(stream as u64 + 1), |state, word| splitmix64(state.wrapping_add(word)))
}

/// A uniform float in `[0, 1)`, one of 2^24.
pub(crate) fn uniform(stream: Stream, key: [u64; 3]) -> f32 {
    (bits(stream, key) >> 40) as f32 / (1u32 << 24) as f32
}

/// A permutation of the numbers below `n` for this epoch.
pub(crate) fn shuffled(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    permuted(n, Stream::Order, [seed, epoch])
}

/// A permutation of the numbers below `n` for this key (Fisher-Yates shuffle).
pub(crate) fn permuted(n: usize, stream: Stream, [first, second]: [u64; 2]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for last in (1..n).rev() {
        let draw = bits(stream, [first, second, last as u64]);
        let other = (u128::from(draw) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_every_sample_once() {
        for n in [0, 1, 2, 3, 257] {
            let mut order = shuffled(n, 7, 0);
            order.sort_unstable();
            assert_eq!(order, (0..n as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_order_depends_on_seed_and_epoch_alone() {
        assert_eq!(shuffled(100, 7, 3), shuffled(100, 7, 3));
        assert_ne!(shuffled(100, 7, 3), shuffled(100, 7, 4));
        assert_ne!(shuffled(100, 7, 3), shuffled(100, 8, 3));
    }

    #[test]
    fn every_place_is_equally_likely_for_the_first_sample() {
        let mut counts = [0; 4];
        for seed in 0..4000 {
            let place = shuffled(4, seed, 0).iter().position(|&sample| sample == 0);
            counts[place.unwrap_or_default()] += 1;
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
    }

    #[test]
    fn uniform_draws_fill_zero_to_one() {
        let draws: Vec<f32> = (0..10_000).map(|i| uniform(Stream::Initializer, [1, 2, i])).collect();
        let mean = draws.iter().sum::<f32>() / draws.len() as f32;
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        assert!((mean - 0.5).abs() < 0.01, "{mean}");
    }
}
