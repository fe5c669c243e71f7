//! Long sums are trees of short ones, so that errors do not grow with their length. Many equal values are the worst
//! case, in which all rounding errors of a chain have the same sign.

use std::slice::from_ref;
use std::sync::Arc;

use kiln::OpProgram;
use kiln::graph::{Array, DType, Op, Shape, Step, TensorType};
use kiln::ops::{
    AvgPool2d, BatchNormSums, ClipByNorm, CrossEntropy, Distance, GlobalAvgPool2d, ImageStatistics, MeanLoss, Moments,
    Padding, Penalty, Record, Softmax, SoftmaxCrossEntropy, Sum, SumRows,
};

use crate::common::device;

/// 0.1 in f32.
const TENTH: f64 = 0.1f32 as f64;
/// A few units in the last place.
const ALLOWED: f64 = 1e-6;
/// For sums in chains of up to 1,000 terms, and merged variances: several rounding errors of 6e-8.
const ALLOWED_IN_CHAINS: f64 = 4e-6;

fn tenths(shape: impl Into<Shape>) -> Array {
    let mut array = Array::zeros(shape);
    array.data.fill(TENTH);
    array
}

fn results(op: impl Op + 'static, inputs: &[Array], rewritten: &[Array]) -> Vec<Array> {
    let mut program = OpProgram::new(device(), Arc::new(op), inputs, rewritten).unwrap();
    program.run_in(Step::default(), 1).unwrap();
    program.results().unwrap()
}

/// The first value of the first result.
fn first(op: impl Op + 'static, inputs: &[Array], rewritten: &[Array]) -> f64 {
    results(op, inputs, rewritten)[0].data[0]
}

fn assert_near(what: &str, found: f64, expected: f64) {
    assert_within(ALLOWED, what, found, expected);
}

fn assert_within(allowed: f64, what: &str, found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error < allowed, "{what}: {found}, expected {expected}: off by {error:.1e}");
}

#[test]
fn the_mean_of_4100_by_4100_pixels_of_a_tenth_is_a_tenth() {
    assert_near("mean", first(GlobalAvgPool2d, &[tenths([1, 4100, 4100, 1])], &[]), TENTH);
}

#[test]
fn sums_of_four_million_tenths_are_right() {
    const N: usize = 4_000_000;
    let count = N as f64;
    assert_near("sum", first(Sum { scale: 1.0 }, &[tenths([N])], &[]), count * TENTH);
    assert_near("rows", first(SumRows, &[tenths([N / 2, 2])], &[]), count / 2.0 * TENTH);
    assert_near("penalty", first(Penalty { l1: 1.0, l2: 0.0 }, &[tenths([N])], &[]), count * TENTH);
    let loss = MeanLoss { distance: Distance::AbsoluteError };
    assert_near("loss", first(loss, &[tenths([1, N]), Array::zeros([1, N])], &[]), TENTH);
    assert_near("norm", first(ClipByNorm { limit: 1.0, count: N }, &[], &[tenths([N])]), 1.0 / count.sqrt());
    let record = Record { rows: 1, columns: 1, first: 0 };
    let found = first(record, &[tenths([N / 400])], &[Array::zeros([1, 1])]);
    assert_within(ALLOWED_IN_CHAINS, "record", found, count / 400.0 * TENTH);
    let pool = AvgPool2d { pool_size: [1000, 1000], strides: [1000, 1000], padding: Padding::Valid };
    assert_within(ALLOWED_IN_CHAINS, "pooling", first(pool, &[tenths([1, 1000, 1000, 1])], &[]), TENTH);
}

#[test]
fn statistics_of_four_million_values_are_right() {
    // Half tenths and half three tenths: a mean of two tenths and a deviation of one.
    let mut image = tenths([1, 2000, 2000, 1]);
    image.data.iter_mut().step_by(2).for_each(|v| *v = 0.3f32 as f64);
    let (mean, deviation) = ((TENTH + 0.3f32 as f64) / 2.0, (0.3f32 as f64 - TENTH) / 2.0);
    let found = results(ImageStatistics, from_ref(&image), &[]).remove(0).data;
    assert_near("mean", found[2], mean);
    assert_near("deviation", found[3], deviation);
    let found = results(Moments, from_ref(&image), &[]);
    assert_near("moments' mean", found[0].data[0], mean);
    assert_within(ALLOWED_IN_CHAINS, "moments' variance", found[1].data[0], deviation * deviation);
    let statistics = [Array::f32([1], vec![0.0]), Array::f32([1], vec![1.0])];
    let inputs = [tenths([1, 2000, 2000, 1]), tenths([1, 2000, 2000, 1])].into_iter().chain(statistics);
    let found = results(BatchNormSums { epsilon: 0.0 }, &inputs.collect::<Vec<_>>(), &[]);
    assert_near("dgamma", found[0].data[0], 4e6 * TENTH * TENTH);
    assert_near("dbeta", found[1].data[0], 4e6 * TENTH);
}

#[test]
fn sums_over_a_hundred_thousand_classes_are_right() {
    const CLASSES: usize = 100_000;
    let classes = CLASSES as f64;
    let x = tenths([1, CLASSES]);
    let label = Array::new(TensorType::new([1], DType::U32), vec![7.0]);
    assert_near("softmax", first(Softmax, from_ref(&x), &[]), 1.0 / classes);
    assert_near("softmax loss", first(SoftmaxCrossEntropy, &[x.clone(), label.clone()], &[]), classes.ln());
    assert_near("loss", first(CrossEntropy, &[x, label], &[]), classes.ln());
}
