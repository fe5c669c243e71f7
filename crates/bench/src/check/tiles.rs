//! All tiles of products and convolutions compute the same bits.

use std::sync::Arc;

use kiln::graph::{Array, Choices, Op, Plan};
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
        let mut compared = Compared::default();
        for (op, inputs) in products() {
            compare(device, &op, &inputs, &mut compared)?;
        }
        Ok(outcome(device.info().backend == PROMISED_ON, compared))
    })
}

/// The comparisons so far.
#[derive(Debug, Default)]
struct Compared {
    tiles: usize,
    /// A line for each tile that computes other bits than the default one.
    differences: Vec<String>,
    /// A line for each product without a choice, and for each tile that was chosen but not run: nothing was compared.
    not_compared: Vec<String>,
}

fn outcome(promised: bool, compared: Compared) -> Outcome {
    let Compared { tiles, differences, not_compared: mut problems } = compared;
    let differ = if promised || differences.is_empty() { "" } else { &format!(", {} differ", differences.len()) };
    let extent = format!("{tiles} tiles{differ}");
    if promised {
        problems.extend(differences);
    }
    Outcome { extent, error: None, problems }
}

/// Compares the tiles of an op with these inputs.
fn compare(device: &Device, op: &Arc<dyn Op>, inputs: &[Array], compared: &mut Compared) -> Result<()> {
    let run = |choices: &Choices| -> Result<(Plan, Vec<u8>)> {
        let mut program = OpProgram::with_choices(device, op.clone(), inputs, &[], choices)?;
        program.run(1)?;
        let bytes = program.results()?.iter().flat_map(Array::to_bytes).collect();
        Ok((program.plan().clone(), bytes))
    };
    let shapes = inputs.iter().map(|input| input.ty.to_string()).collect::<Vec<_>>().join(", ");
    let (plan, expected) = run(&Choices::default())?;
    if device.limits()?.gpu_kernels && plan.choices.is_empty() {
        compared.not_compared.push(format!("{} of {shapes}: expected several tiles, found one", op.name()));
    }
    for choice in &plan.choices {
        for (place, kernel) in choice.kernels.iter().enumerate().skip(1) {
            let mut chosen = Choices::default();
            chosen.set(choice, place);
            let (plan, found) = run(&chosen)?;
            compared.tiles += 1;
            if plan.calls.iter().all(|call| call.kernel.name != kernel.name) {
                compared
                    .not_compared
                    .push(format!("{shapes}: {} was chosen, but the plan does not call it", kernel.name));
            }
            let pairs = found.chunks_exact(4).zip(expected.chunks_exact(4));
            let differ = pairs.filter(|(a, b)| a != b).count();
            if differ > 0 || found.len() != expected.len() {
                let (first, all) = (choice.kernels[0].name, expected.len() / 4);
                let line = format!("{shapes}: {differ} of {all} values by {} differ from {first}", kernel.name);
                compared.differences.push(line);
            }
        }
    }
    Ok(())
}

/// Products with every layout of inputs, few and many rows, and sizes that are not multiples of a tile.
pub(super) fn products() -> Vec<(Arc<dyn Op>, Vec<Array>)> {
    let (strides, padding) = ([1, 1], Padding::Same.into());
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
        // The tile in workgroup memory is 64 x 64 for 50 or 130 columns, else 128 x 32, which leaves fewer columns idle.
        (
            Arc::new(Conv2d { strides, padding, bias: true }),
            vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 6, 50], 2), random(&[50], 3)],
        ),
        (Arc::new(input_gradient), vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 50, 6], 2)]),
        (Arc::new(input_gradient), vec![random(&[2, 7, 9, 6], 1), random(&[3, 3, 5, 6], 2)]),
        (
            Arc::new(Conv2dInputGradient { strides: [2, 2], padding, image: [7, 9] }),
            vec![random(&[2, 4, 5, 6], 1), random(&[3, 3, 40, 6], 2)],
        ),
        (Arc::new(weight_gradient), vec![random(&[3, 9, 9, 10], 1), random(&[3, 9, 9, 50], 2)]),
        (Arc::new(weight_gradient), vec![random(&[3, 9, 9, 6], 1), random(&[3, 9, 9, 5], 2)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_bits_are_a_problem_only_where_the_same_are_promised() {
        let found = || vec!["one".to_owned()];
        let compared = |differences, not_compared| Compared { tiles: 9, differences, not_compared };
        let [promised, elsewhere, same] = [
            outcome(true, compared(found(), vec![])),
            outcome(false, compared(found(), vec![])),
            outcome(true, compared(vec![], vec![])),
        ];
        assert_eq!(outcome(false, compared(vec![], found())).problems, found());
        assert_eq!((promised.extent.as_str(), promised.problems), ("9 tiles", found()));
        assert_eq!((elsewhere.extent.as_str(), elsewhere.problems.len()), ("9 tiles, 1 differ", 0));
        assert_eq!((same.extent.as_str(), same.problems.len()), ("9 tiles", 0));
    }
}
