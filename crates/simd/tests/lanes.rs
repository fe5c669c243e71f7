//! Lanes against f64 and against scalars, with every instruction set of the processor.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use fearless_simd::{Level, Simd};
use kiln_graph::{Fault, Memory, PADDING};
use kiln_simd::{Bool, Clamped, Compare, F32, Storage, U32, exp, log, tanh};

/// A property that holds with any instruction set.
trait Claim {
    fn hold<S: Simd>(&self, simd: S);
}

fn with_every_level(claim: impl Claim) {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    {
        if let Level::Avx512(simd) = level {
            claim.hold(simd);
        }
        if let Some(simd) = level.as_avx2() {
            claim.hold(simd);
        }
        claim.hold(level.as_sse2().unwrap());
    }
    fearless_simd::dispatch!(level, simd => claim.hold(simd));
}

/// A function is within a relative error of its value in f64.
struct Near {
    name: &'static str,
    exact: fn(f64) -> f64,
    relative: f64,
    inputs: Vec<f32>,
}

impl Claim for Near {
    fn hold<S: Simd>(&self, simd: S) {
        for &x in &self.inputs {
            let lanes = F32::splat(simd, x);
            let found = match self.name {
                "exp" => exp(lanes),
                "log" => log(lanes),
                _ => tanh(lanes),
            };
            let (found, exact) = (f64::from(found.lane(U32::<S>::LEN - 1)), (self.exact)(f64::from(x)));
            let error = ((found - exact) / exact).abs();
            assert!(found == exact || error < self.relative, "{}({x}) = {found}, exactly {exact}", self.name);
        }
    }
}

fn range(from: f32, to: f32, steps: u16) -> Vec<f32> {
    (0..=steps).map(|i| from + (to - from) * f32::from(i) / f32::from(steps)).collect()
}

#[test]
fn exp_is_within_two_units_of_the_last_place() {
    with_every_level(Near { name: "exp", exact: f64::exp, relative: 2.4e-7, inputs: range(-87.0, 88.7, 9999) });
}

#[test]
fn log_is_within_two_units_of_the_last_place_away_from_one() {
    let mut inputs = range(1.1, 1000.0, 999);
    inputs.extend(range(1e-38, 0.9, 999));
    inputs.extend([f32::MAX, f32::MIN_POSITIVE, 1e-40]);
    with_every_level(Near { name: "log", exact: f64::ln, relative: 2.4e-7, inputs });
}

#[test]
fn tanh_is_within_four_units_of_the_last_place() {
    with_every_level(Near { name: "tanh", exact: f64::tanh, relative: 4.8e-7, inputs: range(-12.0, 12.0, 9999) });
}

#[test]
fn exp_and_log_of_what_is_not_finite_are_as_in_the_standard_library() {
    struct Edges;
    impl Claim for Edges {
        fn hold<S: Simd>(&self, simd: S) {
            let lane = |x: F32<S>| x.lane(0);
            assert_eq!(lane(exp(F32::splat(simd, 200.0))), f32::INFINITY);
            assert_eq!(lane(exp(F32::splat(simd, -200.0))), 0.0);
            assert!(lane(exp(F32::splat(simd, f32::NAN))).is_nan());
            assert_eq!(lane(log(F32::splat(simd, 0.0))), f32::NEG_INFINITY);
            assert_eq!(lane(log(F32::splat(simd, f32::INFINITY))), f32::INFINITY);
            assert!(lane(log(F32::splat(simd, -1.0))).is_nan());
        }
    }
    with_every_level(Edges);
}

#[test]
fn unsigned_division_is_exact_for_all_magnitudes() {
    struct Division;
    impl Claim for Division {
        fn hold<S: Simd>(&self, simd: S) {
            let values = [0, 1, 2, 3, 7, 50, 784, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];
            for a in values {
                for b in values {
                    let (x, y) = (U32::splat(simd, a), U32::splat(simd, b));
                    assert_eq!((x / y).lane(0), a.checked_div(b).unwrap_or(a), "{a} / {b}");
                    assert_eq!((x % y).lane(0), a.checked_rem(b).unwrap_or(0), "{a} % {b}");
                }
            }
        }
    }
    with_every_level(Division);
}

/// Memory of `words` words 0, 1, 2, … followed by padding.
fn memory(words: usize) -> (Vec<u32>, Memory) {
    let mut values: Vec<u32> = (0..(words + PADDING / 4) as u32).collect();
    let start = values.as_mut_ptr();
    (values, Memory { start, words })
}

#[test]
fn a_clamped_index_loads_what_the_clamp_says_near_the_end() {
    struct Loads;
    impl Claim for Loads {
        fn hold<S: Simd>(&self, simd: S) {
            let (_values, memory) = memory(37);
            let fault = Fault::default();
            // SAFETY: the memory lives as long as the test and every index is clamped.
            let x = unsafe { Storage::<false>::read(memory, "x", &fault) };
            for first in 0..60 {
                let found = x.clamped::<u32, S>(simd, Clamped::new(first, 36));
                for lane in 0..U32::<S>::LEN {
                    assert_eq!(found.lane(lane), (first + lane as u32).min(36));
                }
            }
        }
    }
    with_every_level(Loads);
}

#[test]
fn a_masked_store_leaves_the_other_lanes_words_alone() {
    struct Stores;
    impl Claim for Stores {
        fn hold<S: Simd>(&self, simd: S) {
            let (values, memory) = memory(40);
            let fault = Fault::default();
            // SAFETY: the memory lives as long as the test, and is not written elsewhere.
            let y = unsafe { Storage::<true>::read_write(memory, "y", &fault) };
            y.set_lanes_where::<u32, S>(Bool::first(simd, 3), 2, U32::splat(simd, 99));
            assert_eq!(values[..8], [0, 1, 99, 99, 99, 5, 6, 7]);
            assert_eq!(fault.found(), None);
        }
    }
    with_every_level(Stores);
}

#[test]
fn a_checked_access_outside_its_memory_gives_zero_and_is_reported() {
    struct Faults;
    impl Claim for Faults {
        fn hold<S: Simd>(&self, simd: S) {
            let (_values, memory) = memory(5);
            let fault = Fault::default();
            // SAFETY: the memory lives as long as the test, and is not written elsewhere.
            let x = unsafe { Storage::<true>::read(memory, "x", &fault) };
            let found = x.gather::<u32, S>(simd, U32::iota(simd) + U32::splat(simd, 3));
            assert_eq!([found.lane(0), found.lane(1), found.lane(2)], [3, 4, 0]);
            assert_eq!(fault.found().map(|access| (access.variable, access.word, access.words)), Some(("x", 5, 5)));
        }
    }
    with_every_level(Faults);
}

#[test]
fn comparisons_of_lanes_agree_with_those_of_scalars() {
    struct Comparisons;
    impl Claim for Comparisons {
        fn hold<S: Simd>(&self, simd: S) {
            for (a, b) in [(1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (f32::NAN, 1.0)] {
                let (x, y) = (F32::splat(simd, a), F32::splat(simd, b));
                assert_eq!((x.lt(y).any(), x.le(y).all()), (a < b, a <= b), "{a} and {b}");
                assert_eq!((x.eq(y).any(), x.ne(y).all()), (a == b, a != b), "{a} and {b}");
            }
        }
    }
    with_every_level(Comparisons);
}
