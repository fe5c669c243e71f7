//! Kernels against a few lines of Rust, so that devices are not only compared with each other.

use kiln_graph::Kernel;
use kiln_translation_tests::{barriers, conversions, loops, scalar_i32, scalar_u32, transcendental};

use crate::devices::{Case, processors};
use crate::inputs::words;

/// Compares the words of a binding from `start` on with `answer` of each invocation.
fn assert_answers<T: PartialEq + std::fmt::Debug>(
    kernel: &'static Kernel,
    binding: &str,
    start: usize,
    read: impl Fn(u32) -> T,
    answer: impl Fn(usize) -> T,
) {
    let index = kernel.bindings.iter().position(|found| found.name == binding).unwrap();
    for device in processors() {
        let found = Case::new(kernel).run(device).unwrap();
        for at in 0..192 {
            assert_eq!(read(found[index][start + at]), answer(at), "{} at {at}", kernel.name);
        }
    }
}

#[test]
fn integers_wrap_and_divide_as_wgsl_says() {
    let kernel = scalar_i32::Lanes::KERNEL;
    let (a, b) = (words(kernel, 0), words(kernel, 1));
    let (a, b) = (|at: usize| a[at] as i32, |at: usize| b[at] as i32);
    assert_answers(kernel, "i_out", 384, |word| word as i32, |at| a(at).wrapping_mul(b(at)));
    assert_answers(kernel, "i_out", 576, |word| word as i32, |at| a(at).checked_div(b(at)).unwrap_or(a(at)));
    assert_answers(kernel, "i_out", 768, |word| word as i32, |at| a(at).checked_rem(b(at)).unwrap_or(0));

    let kernel = scalar_u32::Lanes::KERNEL;
    let (a, b) = (words(kernel, 0), words(kernel, 1));
    assert_answers(kernel, "u_out", 576, |word| word, |at| a[at].checked_div(b[at]).unwrap_or(a[at]));
    assert_answers(kernel, "u_out", 768, |word| word, |at| a[at].checked_rem(b[at]).unwrap_or(0));
}

#[test]
fn floats_become_integers_that_saturate() {
    let kernel = conversions::Lanes::KERNEL;
    let wide = words(kernel, 0);
    assert_answers(kernel, "i_out", 0, |word| word as i32, |at| f32::from_bits(wide[at]) as i32);
    assert_answers(kernel, "u_out", 0, |word| word, |at| f32::from_bits(wide[at]) as u32);
}

#[test]
fn transcendental_functions_are_close_to_those_of_f64() {
    let kernel = transcendental::Lanes::KERNEL;
    let (a, b) = (words(kernel, 0), words(kernel, 1));
    let (a, b) = (|at: usize| f64::from(f32::from_bits(a[at])), |at: usize| f64::from(f32::from_bits(b[at])));
    let positive = |at: usize| b(at).abs() + 0.25;
    let exact: [(usize, &dyn Fn(usize) -> f64); 5] = [
        (0, &|at| a(at).exp() + b(at).exp2()),
        (192, &|at| positive(at).ln() + 3.0 * positive(at).log2()),
        (384, &|at| positive(at).powf(a(at))),
        (576, &|at| a(at).sin() + 2.0 * b(at).cos()),
        (1152, &|at| a(at).atan2(b(at)) + positive(at).atan2(a(at))),
    ];
    for device in processors() {
        let found = Case::new(kernel).run(device).unwrap();
        for (start, answer) in exact {
            for at in 0..192 {
                let (found, expected) = (f64::from(f32::from_bits(found[2][start + at])), answer(at));
                assert!((found - expected).abs() <= 2e-6 * expected.abs().max(1.0), "{start}: {found}, {expected}");
            }
        }
    }
}

#[test]
fn loops_end_for_each_lane_at_its_own_time() {
    let kernel = loops::Main::KERNEL;
    let u = words(kernel, 0);
    let collatz = |at: usize| {
        let (mut n, mut steps) = (u[at] % 20 + 1, 0);
        while n != 1 {
            n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
            steps += 1;
            if steps > 40 {
                break;
            }
        }
        steps * 1000 + n % 1000
    };
    assert_answers(kernel, "u_out", 384, |word| word, collatz);
}

#[test]
fn a_value_is_kept_between_iterations_around_barriers() {
    let kernel = barriers::Carry::KERNEL;
    let a: Vec<f32> = words(kernel, 0).into_iter().map(f32::from_bits).collect();
    let carried = |n: usize| (0..4).fold(0.0, |sum, i| sum * 2.0 + a[i * 64 + 63 - n % 64]);
    assert_answers(kernel, "f_out", 0, f32::from_bits, carried);
}

#[test]
fn a_tree_of_sums_is_the_sum() {
    let kernel = barriers::Sum::KERNEL;
    let a: Vec<f32> = words(kernel, 0).into_iter().map(f32::from_bits).collect();
    for device in processors() {
        let found = Case::new(kernel).run(device).unwrap();
        // All elements are multiples of 1/16: the sum is the same in every order.
        assert_eq!(f32::from_bits(found.last().unwrap()[0]), a[..256].iter().sum::<f32>());
    }
}
