//! Every tile of products and convolutions gives the same bits.

use std::sync::Arc;

use kiln::graph::{Array, Choice, Choices, Op};
use kiln::ops::{Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Matmul, Padding};
use kiln::{Device, OpProgram, Result};

use super::{Check, Outcome};

/// The backend on which the same bits are promised. Metal's compiler may reorder additions, and DX12's may round
/// between the multiplication and the addition of a multiply-add.
const PROMISED_ON: &str = "Vulkan";

/// Compares each kernel between which an op can choose with the default one, bit by bit. A difference is a problem on
/// Vulkan; elsewhere it is only reported.
pub fn check() -> Check {
    Check::new("the same bits by every tile", |device| {
        let mut compared = 0;
        let mut differences = Vec::new();
        for (op, inputs) in products() {
            let (tiles, found) = compare(device, &op, &inputs)?;
            compared += tiles;
            differences.extend(found);
        }
        Ok(outcome(device.info().backend == PROMISED_ON, compared, differences))
    })
}

fn outcome(promised: bool, compared: usize, differences: Vec<String>) -> Outcome {
    let differ = if promised || differences.is_empty() { "" } else { &format!(", {} differ", differences.len()) };
    let problems = if promised { differences } else { Vec::new() };
    Outcome { extent: format!("{compared} tiles{differ}"), error: None, problems }
}

/// The number of kernels compared, and a line for each that has other bits than the default one.
fn compare(device: &Device, op: &Arc<dyn Op>, inputs: &[Array]) -> Result<(usize, Vec<String>)> {
    let run = |choices: &Choices| -> Result<(Vec<Choice>, Vec<u8>)> {
        let mut program = OpProgram::with_choices(device, op.clone(), inputs, &[], choices)?;
        program.run(1)?;
        let bytes = program.results()?.iter().flat_map(Array::to_bytes).collect();
        Ok((program.plan().choices.clone(), bytes))
    };
    let (choices, expected) = run(&Choices::default())?;
    let mut compared = 0;
    let mut differences = Vec::new();
    for choice in &choices {
        for (place, kernel) in choice.kernels.iter().enumerate().skip(1) {
            let mut chosen = Choices::default();
            chosen.set(choice, place);
            let (_, found) = run(&chosen)?;
            compared += 1;
            let pairs = found.chunks_exact(4).zip(expected.chunks_exact(4));
            let differ = pairs.filter(|(a, b)| a != b).count();
            if differ > 0 || found.len() != expected.len() {
                let (first, all) = (choice.kernels[0].name, expected.len() / 4);
                let shapes: Vec<String> = inputs.iter().map(|input| input.ty.to_string()).collect();
                let shapes = shapes.join(", ");
                differences.push(format!("{shapes}: {differ} of {all} values by {} differ from {first}", kernel.name));
            }
        }
    }
    Ok((compared, differences))
}

/// Products with every layout of inputs, few and many rows, and sizes that are not multiples of a tile.
fn products() -> Vec<(Arc<dyn Op>, Vec<Array>)> {
    let (strides, padding) = ([1, 1], Padding::Same);
    let random = |shape: &[usize], seed| Array::random(shape.to_vec(), seed);
    let product = |transpose_a, transpose_b| Arc::new(Matmul { transpose_a, transpose_b, bias: false }) as Arc<dyn Op>;
    let weight_gradient = Conv2dWeightGradient { strides, padding, size: [3, 3] };
    let input_gradient = Conv2dInputGradient { strides, padding, image: [7, 9] };
    vec![
        (product(false, false), vec![random(&[70, 37], 1), random(&[37, 130], 2)]),
        (product(false, false), vec![random(&[2, 37], 1), random(&[37, 70], 2)]),
        (product(false, true), vec![random(&[70, 18], 1), random(&[67, 18], 2)]),
        (product(true, false), vec![random(&[19, 70], 1), random(&[19, 66], 2)]),
        (product(true, false), vec![random(&[19, 70], 1), random(&[19, 40], 2)]),
        // Several blocks of the inner axis, the last one partial.
        (product(false, false), vec![random(&[70, 530], 1), random(&[530, 34], 2)]),
        (product(false, true), vec![random(&[19, 515], 1), random(&[67, 515], 2)]),
        (
            Arc::new(Matmul { transpose_a: false, transpose_b: false, bias: true }),
            vec![random(&[2, 1030], 1), random(&[1030, 70], 2), random(&[70], 3)],
        ),
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 6, 70], 2), random(&[70], 3)],
        ),
        // Enough columns for a tile of 64 x 64 in workgroup memory; the others' are 128 x 32.
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 6, 40], 2), random(&[40], 3)],
        ),
        (Arc::new(input_gradient), vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 40, 6], 2)]),
        (Arc::new(input_gradient), vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 5, 6], 2)]),
        (
            Arc::new(Conv2dInputGradient { strides: [2, 2], padding, image: [7, 9] }),
            vec![random(&[2, 4, 5, 6], 1), random(&[3, 3, 40, 6], 2)],
        ),
        (Arc::new(weight_gradient), vec![random(&[3, 9, 9, 10], 1), random(&[3, 9, 9, 40], 2)]),
        (Arc::new(weight_gradient), vec![random(&[3, 9, 9, 6], 1), random(&[3, 9, 9, 5], 2)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bits_are_a_problem_only_where_the_same_are_promised() {
        let found = || vec!["one".to_owned()];
        let [promised, elsewhere, same] =
            [outcome(true, 9, found()), outcome(false, 9, found()), outcome(true, 9, vec![])];
        assert_eq!((promised.extent.as_str(), promised.problems), ("9 tiles", found()));
        assert_eq!((elsewhere.extent.as_str(), elsewhere.problems.len()), ("9 tiles, 1 differ", 0));
        assert_eq!((same.extent.as_str(), same.problems.len()), ("9 tiles", 0));
    }
}
