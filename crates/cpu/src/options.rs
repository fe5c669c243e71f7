//! The options of the device.

use std::num::NonZero;
use std::thread::available_parallelism;

use kiln_graph::Order;
use kiln_simd::LEAST_LANES;

/// The environment variable with the number of threads.
const VARIABLE: &str = "KILN_THREADS";

/// More than any processor has, but few enough for [`Region`](crate::region::Region) to count their chunks.
const MOST_THREADS: usize = 1024;

/// The options of the device.
#[derive(Clone, Debug)]
pub struct Options {
    /// The number of threads, 1 to 1024. `None`: the environment variable `KILN_THREADS`, or one per available core if it
    /// is missing or empty.
    pub threads: Option<usize>,
    /// Whether trusted kernels, too, check every access. True in debug builds; kernels that were compiled without debug
    /// assertions have no checks.
    pub checked: bool,
    /// The order of workgroups, and of invocations between two barriers. For tests that detect races.
    pub order: Order,
    /// The most lanes of a vector: a power of two of at least 4, or `u32::MAX` for the processor's own. For tests
    /// of kernels as on other processors.
    pub max_lanes: u32,
    /// The most bytes of a binding, or `u64::MAX` for as many as kernels can count. For tests of plans as on other
    /// devices.
    pub max_binding_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        let (checked, max_binding_bytes) = (cfg!(debug_assertions), u64::MAX);
        Options { threads: None, checked, order: Order::Rising, max_lanes: u32::MAX, max_binding_bytes }
    }
}

impl Options {
    /// The number of threads, or the broken rule as text.
    pub(crate) fn resolve_threads(&self) -> Result<usize, String> {
        match self.threads {
            Some(threads) if (1..=MOST_THREADS).contains(&threads) => Ok(threads),
            Some(threads) => Err(format!("{threads} threads requested, expected 1 to {MOST_THREADS}")),
            None => parse_threads(&std::env::var_os(VARIABLE).unwrap_or_default().to_string_lossy()),
        }
    }

    /// Checks [`Options::max_lanes`]; the broken rule as text.
    pub(crate) fn check_lanes(&self) -> Result<(), String> {
        let lanes = self.max_lanes;
        if lanes == u32::MAX || (lanes >= LEAST_LANES && lanes.is_power_of_two()) {
            return Ok(());
        }
        Err(format!("at most {lanes} lanes requested, expected a power of two of at least {LEAST_LANES}"))
    }
}

/// The number of threads of the environment variable, one per core if it is empty.
fn parse_threads(text: &str) -> Result<usize, String> {
    if text.trim().is_empty() {
        return Ok(available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS));
    }
    let threads = text.trim().parse().ok().filter(|threads| (1..=MOST_THREADS).contains(threads));
    threads.ok_or_else(|| {
        format!("the environment variable {VARIABLE} is `{text}`, expected a number of threads, 1 to {MOST_THREADS}")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn threads_are_a_number_from_1_to_1024() {
        for (text, threads) in [("1", 1), (" 8 ", 8), ("1024", 1024)] {
            assert_eq!(parse_threads(text), Ok(threads));
        }
    }

    #[test]
    fn an_empty_variable_is_none() {
        let default = available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        assert_eq!(["", "  "].map(parse_threads), [Ok(default), Ok(default)]);
    }

    #[test]
    fn other_text_is_an_error_that_names_the_variable_and_what_it_holds() {
        for text in ["abc", "0", "-1", "1.5", "1025", "99999999999999999999"] {
            let rule = parse_threads(text).unwrap_err();
            assert!(rule.contains("KILN_THREADS") && rule.contains(&format!("`{text}`")), "{rule}");
        }
    }
}
