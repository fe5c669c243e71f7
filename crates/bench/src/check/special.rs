//! Special values (NaN, infinities, negative zero, denormals), one in each input of a case in turn.

use kiln::graph::{Array, DType};
use kiln::ops::Case;

/// The values, with NaN of both signs: processors produce the one that a `const` does not have.
const SPECIAL: [(&str, f64); 6] = [
    ("NaN", f64::NAN),
    ("-NaN", f64::from_bits(f64::NAN.to_bits() ^ (1 << 63))),
    ("infinity", f64::INFINITY),
    ("-infinity", f64::NEG_INFINITY),
    ("-0", -0.0),
    ("a denormal", 1e-40),
];

/// A case with a special value at one position of one input.
#[derive(Clone, Debug)]
pub struct Special {
    /// The value and its position: `NaN in input 0 at 17`.
    pub name: String,
    /// The inputs.
    pub inputs: Vec<Array>,
    /// The old values of the tensors that the op updates.
    pub rewritten: Vec<Array>,
    /// The allowed outputs: those of the formula and, if a device may flush the value to 0, those of 0.
    expected: Vec<Vec<Array>>,
    /// The op.
    op: &'static str,
    /// The value.
    value: f64,
}

/// The special cases of a case; `number` determines the positions of the values.
pub fn specials(case: &Case, number: usize) -> impl Iterator<Item = Special> + '_ {
    let floats = |arrays: &[Array]| -> Vec<usize> {
        (0..arrays.len()).filter(|&i| arrays[i].ty.dtype == DType::F32 && !arrays[i].data.is_empty()).collect()
    };
    let inputs = floats(&case.inputs).into_iter().map(|i| (false, i));
    let rewritten = floats(&case.rewritten).into_iter().map(|i| (true, i));
    let places =
        inputs.chain(rewritten).collect::<Vec<_>>().into_iter().flat_map(|at| (0..SPECIAL.len()).map(move |s| (at, s)));
    places.map(move |((is_rewritten, input), s)| {
        let with = |value: f64| {
            let (mut inputs, mut rewritten) = (case.inputs.clone(), case.rewritten.clone());
            let array = if is_rewritten { &mut rewritten[input] } else { &mut inputs[input] };
            let place = (number * 13 + input * 31 + s * 7919) % array.data.len();
            array.data[place] = value;
            (place, inputs, rewritten)
        };
        let reference = |(_, inputs, rewritten): &(usize, Vec<Array>, Vec<Array>)| {
            let taken: Vec<&Array> = inputs.iter().chain(rewritten).collect();
            case.op.reference(&taken, &case.step)
        };
        let (kind, value) = SPECIAL[s];
        let changed = with(value);
        let mut expected = vec![reference(&changed)];
        if value.is_finite() {
            expected.push(reference(&with(0.0)));
        }
        let (place, inputs, rewritten) = changed;
        let name = format!("{kind} in {} {input} at {place}", if is_rewritten { "rewritten" } else { "input" });
        Special { name, inputs, rewritten, expected, op: case.op.name(), value }
    })
}

impl Special {
    /// The first problem in a device's outputs, if any: NaN, an infinity or a number that is not expected, or an error
    /// above `allowed`, relative to the largest value.
    pub fn problem(&self, found: &[Array], allowed: f64) -> Option<String> {
        let count = self.expected[0].len();
        if found.len() != count {
            return Some(format!("{} outputs, expected {count}", found.len()));
        }
        (0..count).find_map(|output| {
            let expected: Vec<&Array> = self.expected.iter().map(|arrays| &arrays[output]).collect();
            let scales: Vec<f64> = expected.iter().map(|array| scale(array)).collect();
            let fits = |at: usize, found: f64| {
                let mut possible = expected.iter().zip(&scales);
                possible.any(|(array, scale)| is_close(found, array.data[at], allowed * scale))
                    || (found.is_nan() && self.may_be_nan())
            };
            let place = found[output].data.iter().enumerate().find(|&(at, &found)| !fits(at, found))?.0;
            let (found, expected) = (found[output].data[place], expected[0].data[place]);
            Some(format!("output {output} at {place} is {found:e}, expected {expected:e}"))
        })
    }

    /// Whether NaN is allowed in place of another value: some kernels of convolutions multiply infinity by the zeros
    /// around an image, and an infinite factor of batch normalization multiplies weights of both signs.
    fn may_be_nan(&self) -> bool {
        !self.value.is_finite() && self.op.contains("conv2d")
    }
}

/// The largest value that is finite as f32, or 1.
fn scale(array: &Array) -> f64 {
    let finite = array.data.iter().filter(|&&v| (v as f32).is_finite());
    let largest = finite.fold(0.0f64, |largest, v| largest.max(v.abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

fn is_close(found: f64, expected: f64, allowed: f64) -> bool {
    // Values beyond f32 are infinite on a device.
    match f64::from(expected as f32) {
        expected if expected.is_nan() => found.is_nan(),
        expected if expected.is_infinite() => found == expected,
        expected => (found - expected).abs() <= allowed + f64::from(f32::MIN_POSITIVE),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use kiln::ops::cases;

    use super::*;

    #[test]
    fn each_float_input_gets_each_value() {
        let case = cases().into_iter().find(|case| case.op.name() == "adam").unwrap();
        let specials: Vec<Special> = specials(&case, 3).collect();
        assert_eq!(specials.len(), SPECIAL.len() * (case.inputs.len() + case.rewritten.len()));
        let is_there = |special: &Special| {
            special.inputs.iter().chain(&special.rewritten).flat_map(|array| &array.data).any(|v| !v.is_finite())
        };
        assert_eq!(specials.iter().filter(|special| is_there(special)).count() * 3, specials.len() * 2);
    }

    #[test]
    fn a_lost_nan_a_lost_infinity_and_a_false_one_are_problems() {
        let special = |expected: Vec<f64>| Special {
            name: String::new(),
            inputs: Vec::new(),
            rewritten: Vec::new(),
            expected: vec![vec![Array::f32([expected.len()], expected)]],
            op: "",
            value: f64::NAN,
        };
        let found = |values: Vec<f64>| vec![Array::f32([values.len()], values)];
        let expected = special(vec![f64::NAN, f64::INFINITY, 1.0, 1e39]);
        let right = vec![f64::NAN, f64::INFINITY, 1.0, f64::INFINITY];
        assert_eq!(expected.problem(&found(right.clone()), 1e-5), None);
        for (place, wrong) in [(0, 0.0), (1, f64::NAN), (1, f64::NEG_INFINITY), (2, f64::NAN), (2, 1.1), (3, 1e38)] {
            let mut values = right.clone();
            values[place] = wrong;
            let problem = expected.problem(&found(values), 1e-5).unwrap();
            assert!(problem.starts_with(&format!("output 0 at {place} is ")), "{problem}");
        }
    }
}
