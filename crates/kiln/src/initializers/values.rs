//! Initial values, each a function of its index and the seed.

use kiln_graph::Shape;

use super::{Distribution, FanMode, Initializer, Rule};
use crate::random::{Stream, bits, uniform};

/// The standard deviation of a standard normal distribution truncated to ±2.
const TRUNCATED_STDDEV: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// The initial values of a variable of this shape. They depend only on the seed, the index of the variable in the
    /// model and the index of each value.
    pub fn values(self, shape: &Shape, seed: u64, variable: usize) -> Vec<f32> {
        let [seed, variable] = self.seed.map_or([seed, variable as u64], |own| [own, u64::MAX]);
        let draws = Draws { seed, variable };
        let each = |draw: &dyn Fn(u64) -> f32| (0..shape.elements() as u64).map(draw).collect();
        if let Some((scale, mode, distribution)) = self.rule.variance_scaling() {
            let variance = scale / mode.fan(shape).max(1.0);
            return match distribution {
                Distribution::Uniform => each(&|i| draws.uniform(i, 0.0, (3.0 * variance).sqrt())),
                Distribution::UntruncatedNormal => each(&|i| draws.normal(i, 0.0, variance.sqrt())),
                Distribution::TruncatedNormal => {
                    each(&|i| draws.truncated_normal(i, 0.0, variance.sqrt() / TRUNCATED_STDDEV))
                }
            };
        }
        match self.rule {
            Rule::Ones => each(&|_| 1.0),
            Rule::Constant { value } => each(&|_| value as f32),
            Rule::RandomUniform { minval, maxval } => {
                each(&|i| draws.uniform(i, 0.5 * (minval + maxval), 0.5 * (maxval - minval)))
            }
            Rule::RandomNormal { mean, stddev } => each(&|i| draws.normal(i, mean, stddev)),
            Rule::TruncatedNormal { mean, stddev } => each(&|i| draws.truncated_normal(i, mean, stddev)),
            Rule::Orthogonal { gain } => draws.orthogonal(shape, gain),
            Rule::Identity { gain } => {
                let columns = shape.last().copied().unwrap_or(1).max(1) as u64;
                each(&|i| if i / columns == i % columns { gain as f32 } else { 0.0 })
            }
            _ => each(&|_| 0.0),
        }
    }
}

impl Rule {
    /// The rule as variance scaling, if it is one.
    fn variance_scaling(self) -> Option<(f64, FanMode, Distribution)> {
        use Distribution::{TruncatedNormal, Uniform};
        use FanMode::{FanAvg, FanIn};
        Some(match self {
            Rule::VarianceScaling { scale, mode, distribution } => (scale, mode, distribution),
            Rule::GlorotUniform => (1.0, FanAvg, Uniform),
            Rule::GlorotNormal => (1.0, FanAvg, TruncatedNormal),
            Rule::HeUniform => (2.0, FanIn, Uniform),
            Rule::HeNormal => (2.0, FanIn, TruncatedNormal),
            Rule::LecunUniform => (1.0, FanIn, Uniform),
            Rule::LecunNormal => (1.0, FanIn, TruncatedNormal),
            _ => return None,
        })
    }
}

impl FanMode {
    fn fan(self, shape: &Shape) -> f64 {
        let (fan_in, fan_out) = fans(shape);
        match self {
            FanMode::FanIn => fan_in as f64,
            FanMode::FanOut => fan_out as f64,
            FanMode::FanAvg => 0.5 * (fan_in + fan_out) as f64,
        }
    }
}

/// Fan-in and fan-out by Keras' rule.
fn fans(shape: &Shape) -> (usize, usize) {
    match **shape {
        [] => (1, 1),
        [n] => (n, n),
        [ref window @ .., inputs, outputs] => {
            let window: usize = window.iter().product();
            (window * inputs, window * outputs)
        }
    }
}

/// The random values of one variable.
#[derive(Clone, Copy)]
struct Draws {
    seed: u64,
    variable: u64,
}

impl Draws {
    fn key(self, element: u64) -> [u64; 3] {
        [self.seed, self.variable, element]
    }

    /// Uniform in `center ± half`.
    fn uniform(self, element: u64, center: f64, half: f64) -> f32 {
        center as f32 + (2.0 * uniform(Stream::Initializer, self.key(element)) - 1.0) * half as f32
    }

    fn normal(self, element: u64, mean: f64, stddev: f64) -> f32 {
        (mean + stddev * standard_normal(bits(Stream::Initializer, self.key(element)))) as f32
    }

    /// Draws until the value is within two standard deviations.
    fn truncated_normal(self, element: u64, mean: f64, stddev: f64) -> f32 {
        let first = bits(Stream::Initializer, self.key(element));
        let again = |word: &u64| Some(bits(Stream::Initializer, [*word, 0, 0]));
        let mut draws = std::iter::successors(Some(first), again).map(standard_normal);
        let kept = draws.find(|draw| draw.abs() < 2.0).unwrap_or_default();
        (mean + stddev * kept) as f32
    }

    /// A matrix of normal values with orthonormalised columns (Gram-Schmidt).
    fn orthogonal(self, shape: &Shape, gain: f64) -> Vec<f32> {
        let columns = shape.last().copied().unwrap_or(1).max(1);
        let rows = shape.elements() / columns;
        let (length, count) = (rows.max(columns), rows.min(columns));
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
        for number in 0..count {
            let draw = |at: usize| standard_normal(bits(Stream::Initializer, self.key((at * count + number) as u64)));
            let mut vector: Vec<f64> = (0..length).map(draw).collect();
            for other in &basis {
                let share: f64 = vector.iter().zip(other).map(|(v, o)| v * o).sum();
                vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
            }
            let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|v| *v /= norm);
            basis.push(vector);
        }
        let place = |at: usize| (at / columns, at % columns);
        let value =
            |(row, column): (usize, usize)| if rows < columns { basis[row][column] } else { basis[column][row] };
        (0..rows * columns).map(|at| (gain * value(place(at))) as f32).collect()
    }
}

/// A standard normal value from 64 random bits (Box and Muller 1958).
fn standard_normal(bits: u64) -> f64 {
    let [radius, angle] = [bits >> 32, bits & 0xffff_ffff].map(|half| (half as f64 + 0.5) / (1u64 << 32) as f64);
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 50,000 values of a kernel with fan-in 2,000 and fan-out 625.
    fn values(initializer: Initializer) -> Vec<f64> {
        initializer.values(&Shape::from([5, 5, 80, 25]), 1, 0).into_iter().map(f64::from).collect()
    }

    /// The correlation of pairs.
    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        product(a, b) / (product(a, a) * product(b, b)).sqrt()
    }

    fn assert_spread(initializer: Initializer, mean: f64, variance: f64, most: f64) {
        let values = values(initializer);
        let count = values.len() as f64;
        let found = values.iter().sum::<f64>() / count;
        let spread = values.iter().map(|value| (value - found).powi(2)).sum::<f64>() / count;
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max((value - mean).abs()));
        assert!((found - mean).abs() < 0.015 * variance.sqrt(), "{initializer:?}: mean {found}");
        assert!((spread / variance - 1.0).abs() < 0.02, "{initializer:?}: variance {spread}, expected {variance}");
        assert!(largest <= most * 1.000_001, "{initializer:?}: a value is {largest} away from the mean");
        for distance in [1, 2, 25, 64] {
            let centered: Vec<f64> = values.iter().map(|value| value - mean).collect();
            let found = correlation(&centered[distance..], &centered);
            assert!(found.abs() < 0.02, "{initializer:?}: values {distance} apart correlate by {found}");
        }
    }

    #[test]
    fn fans_follow_keras() {
        assert_eq!(fans(&Shape::from([5, 5, 20, 50])), (500, 1250));
        assert_eq!(fans(&Shape::from([2450, 500])), (2450, 500));
        assert_eq!(fans(&Shape::from([7])), (7, 7));
    }

    #[test]
    fn values_have_the_mean_the_variance_and_the_bounds_of_their_rule() {
        let uniform = |variance: f64| (variance, (3.0 * variance).sqrt());
        let truncated = |variance: f64| (variance, 2.0 * variance.sqrt() / TRUNCATED_STDDEV);
        let normal = |variance: f64| (variance, f64::INFINITY);
        let scaled = |mode, distribution| Initializer::variance_scaling(0.5, mode, distribution);
        let zero_mean = [
            (Initializer::glorot_uniform(), uniform(2.0 / 2625.0)),
            (Initializer::glorot_normal(), truncated(2.0 / 2625.0)),
            (Initializer::he_uniform(), uniform(2.0 / 2000.0)),
            (Initializer::he_normal(), truncated(2.0 / 2000.0)),
            (Initializer::lecun_uniform(), uniform(1.0 / 2000.0)),
            (Initializer::lecun_normal(), truncated(1.0 / 2000.0)),
            (scaled(FanMode::FanOut, Distribution::Uniform), uniform(0.5 / 625.0)),
            (scaled(FanMode::FanAvg, Distribution::TruncatedNormal), truncated(1.0 / 2625.0)),
            (scaled(FanMode::FanIn, Distribution::UntruncatedNormal), normal(0.5 / 2000.0)),
        ];
        for (initializer, (variance, most)) in zero_mean {
            assert_spread(initializer, 0.0, variance, most);
        }
        assert_spread(Initializer::random_uniform(-0.5, 1.5), 0.5, 1.0 / 3.0, 1.0);
        assert_spread(Initializer::random_normal(0.5, 0.1), 0.5, 0.01, f64::INFINITY);
        assert_spread(Initializer::truncated_normal(-1.0, 0.1), -1.0, (0.1 * TRUNCATED_STDDEV).powi(2), 0.2);
    }

    /// Checks the shares of a normal distribution within one, two and three standard deviations.
    #[test]
    fn normal_values_are_spread_normally() {
        let values = values(Initializer::random_normal(0.0, 1.0));
        for (distance, expected) in [(1.0, 0.6827), (2.0, 0.9545), (3.0, 0.9973)] {
            let within = values.iter().filter(|value| value.abs() < distance).count() as f64 / values.len() as f64;
            assert!((within - expected).abs() < 0.006, "{within} within {distance}");
        }
    }

    #[test]
    fn uniform_values_fill_their_limits_evenly() {
        let limit = (6.0f64 / 2000.0).sqrt();
        let mut parts = [0; 10];
        for value in values(Initializer::he_uniform()) {
            parts[((value / limit + 1.0) * 5.0).clamp(0.0, 9.0) as usize] += 1;
        }
        assert!(parts.iter().all(|&count| (4_700..5_300).contains(&count)), "{parts:?}");
    }

    #[test]
    fn values_depend_on_seed_variable_and_element() {
        let values = |initializer: Initializer, seed, variable| initializer.values(&[300, 1].into(), seed, variable);
        for initializer in [Initializer::glorot_uniform(), Initializer::he_normal(), Initializer::orthogonal(1.0)] {
            let first = values(initializer, 1, 2);
            assert_eq!(first, values(initializer, 1, 2));
            for other in [values(initializer, 2, 2), values(initializer, 1, 3)] {
                let [a, b] = [&first, &other].map(|v| v.iter().copied().map(f64::from).collect::<Vec<f64>>());
                assert!(correlation(&a, &b).abs() < 0.25);
            }
            let own = initializer.seed(7);
            assert_eq!(values(own, 1, 2), values(own, 3, 4));
            assert_ne!(values(own, 1, 2), first);
            assert_ne!(values(own, 1, 2), values(initializer.seed(8), 1, 2));
        }
    }

    #[test]
    fn a_value_does_not_depend_on_how_many_there_are() {
        for initializer in [Initializer::random_uniform(0.0, 1.0), Initializer::truncated_normal(0.0, 1.0)] {
            let [few, many] = [3, 257].map(|count| initializer.values(&Shape::from([count]), 1, 0));
            assert_eq!(few, many[..3]);
        }
    }

    #[test]
    fn orthogonal_rows_or_columns_have_length_gain_and_are_orthogonal() {
        for shape in [vec![1, 1], vec![3, 3], vec![7, 3], vec![3, 7], vec![3, 3, 2, 5], vec![2, 1, 257]] {
            let columns = shape[shape.len() - 1];
            let rows = shape.iter().product::<usize>() / columns;
            let values = Initializer::orthogonal(0.5).values(&Shape::from(shape), 1, 0);
            let at = |vector: usize, i: usize| match rows < columns {
                true => f64::from(values[vector * columns + i]),
                false => f64::from(values[i * columns + vector]),
            };
            for a in 0..rows.min(columns) {
                for b in 0..=a {
                    let product: f64 = (0..rows.max(columns)).map(|i| at(a, i) * at(b, i)).sum();
                    let expected = if a == b { 0.25 } else { 0.0 };
                    assert!((product - expected).abs() < 1e-6, "{rows} x {columns}: {a} by {b} is {product}");
                }
            }
        }
    }

    #[test]
    fn rules_without_draws_give_what_they_say() {
        let values = |initializer: Initializer| initializer.values(&Shape::from([2, 3]), 1, 0);
        assert_eq!(values(Initializer::zeros()), [0.0; 6]);
        assert_eq!(values(Initializer::ones()), [1.0; 6]);
        assert_eq!(values(Initializer::constant(-0.25)), [-0.25; 6]);
        assert_eq!(values(Initializer::identity(2.0)), [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
    }
}
