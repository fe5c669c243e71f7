//! Sebastiano Vigna's generator splitmix64.

/// The distance between the states of two successive numbers.
pub const SPLITMIX64_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// The 64 random bits that follow a state; the next state is [`SPLITMIX64_STEP`] further, wrapping around.
pub fn splitmix64(state: u64) -> u64 {
    let mut z = state.wrapping_add(SPLITMIX64_STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_published_generator() {
        // The first two outputs of Vigna's splitmix64.c for the seed 1234567.
        let second = 1_234_567u64.wrapping_add(SPLITMIX64_STEP);
        let found = [1_234_567, second].map(splitmix64);
        assert_eq!(found, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
