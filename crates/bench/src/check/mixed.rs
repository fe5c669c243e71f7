//! Products and a training in mixed precision.

use std::sync::Arc;

use kiln::graph::{Array, Choices, Lowering, Op, Pieces, Step, TensorType};
use kiln::ops::{Case, Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Matmul, Padding, RoundF16, cases};
use kiln::{Compile, Device, LossScale, OpProgram, Precision, Result, models};

use super::ops::Comparison;
use super::tiles;
use super::twice::{different, train};
use super::{Check, Outcome};
use crate::made_up;

/// The checks of mixed precision.
pub fn checks() -> [Check; 3] {
    [products(), rounding(), training()]
}

/// A product with the reference of rounded factors.
#[derive(Debug)]
struct OfRoundedFactors(Arc<dyn Op>);

impl Op for OfRoundedFactors {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, inputs: &[TensorType]) -> kiln::graph::Result<Vec<TensorType>> {
        self.0.infer(inputs)
    }

    fn pieces(&self) -> Pieces {
        self.0.pieces()
    }

    fn lower(&self, lowering: &mut Lowering) -> kiln::graph::Result<()> {
        self.0.lower(lowering)
    }

    fn reference(&self, inputs: &[&Array], step: &Step) -> Vec<Array> {
        let (factors, others) = inputs.split_at(inputs.len().min(2));
        let rounded: Vec<Array> = factors.iter().flat_map(|factor| RoundF16.reference(&[factor], step)).collect();
        self.0.reference(&rounded.iter().chain(others.iter().copied()).collect::<Vec<_>>(), step)
    }
}

/// Products and convolutions against their references in f64 with rounded factors, also with special values.
fn products() -> Check {
    Check::new("products in mixed precision", |device| {
        let mut comparison = Comparison::in_precision(Precision::Mixed);
        let of_ops = tiles::products().into_iter().chain(large()).map(|(op, inputs)| {
            let name = format!("{} {}", op.name(), inputs[0].ty);
            Case { name, op, inputs, rewritten: vec![], step: Step::default(), differentiable: vec![] }
        });
        let is_fused = |case: &Case| case.name.contains(", relu") && is_product(&*case.op);
        for case in of_ops.chain(cases().into_iter().filter(is_fused)) {
            let op = Arc::new(OfRoundedFactors(case.op.clone()));
            comparison.add(device, &Case { op, ..case }, false);
        }
        Ok(comparison.outcome())
    })
}

fn is_product(op: &dyn Op) -> bool {
    ["matmul", "conv2d", "conv2d_input_gradient", "conv2d_transpose", "conv2d_weight_gradient"].contains(&op.name())
}

fn random(shape: &[usize], seed: u64) -> Array {
    Array::random(shape.to_vec(), seed)
}

/// Products of several workgroups and many steps, with sizes that are not multiples of a tile, and first layers.
fn large() -> Vec<(Arc<dyn Op>, Vec<Array>)> {
    let padding = Padding::Same.into();
    let product = |transpose_a, transpose_b| Arc::new(Matmul { transpose_a, transpose_b, bias: false }) as Arc<dyn Op>;
    let convolution = |strides| Arc::new(Conv2d { strides, padding, bias: true }) as Arc<dyn Op>;
    let input_gradient = |strides, image| Arc::new(Conv2dInputGradient { strides, padding, image }) as Arc<dyn Op>;
    let weight_gradient = |size| Arc::new(Conv2dWeightGradient { strides: [1, 1], padding, size }) as Arc<dyn Op>;
    vec![
        (product(false, false), vec![random(&[203, 611], 1), random(&[611, 150], 2)]),
        (product(false, true), vec![random(&[203, 94], 1), random(&[301, 94], 2)]),
        (product(true, false), vec![random(&[130, 203], 1), random(&[130, 205], 2)]),
        (convolution([1, 1]), vec![random(&[2, 23, 21, 3], 1), random(&[5, 5, 3, 40], 2), random(&[40], 3)]),
        (convolution([2, 2]), vec![random(&[2, 23, 21, 1], 1), random(&[3, 3, 1, 70], 2), random(&[70], 3)]),
        (convolution([1, 1]), vec![random(&[2, 13, 11, 37], 1), random(&[3, 3, 37, 72], 2), random(&[72], 3)]),
        (input_gradient([1, 1], [13, 11]), vec![random(&[2, 13, 11, 37], 1), random(&[3, 3, 70, 37], 2)]),
        (input_gradient([2, 2], [25, 21]), vec![random(&[2, 13, 11, 37], 1), random(&[3, 3, 70, 37], 2)]),
        (weight_gradient([3, 3]), vec![random(&[3, 13, 11, 36], 1), random(&[3, 13, 11, 70], 2)]),
        (weight_gradient([5, 5]), vec![random(&[2, 23, 21, 3], 1), random(&[2, 23, 21, 40], 2)]),
    ]
}

/// The product with an identity matrix shows how a factor is rounded: exactly.
fn rounding() -> Check {
    Check::new("rounding in mixed precision", |device| {
        const SIZE: usize = 128;
        let mut identity = Array::zeros([SIZE, SIZE]);
        identity.data.iter_mut().step_by(SIZE + 1).for_each(|one| *one = 1.0);
        let factor = Array::f32([SIZE, SIZE], to_round(SIZE * SIZE));
        let mut problems = Vec::new();
        let mut is_rounded = |inputs: [Array; 2], factor: &Array, which: &str| -> Result<()> {
            let expected = &RoundF16.reference(&[factor], &Step::default())[0];
            let (op, choices) = (Arc::new(Matmul::default()), Choices::default());
            let mut program = OpProgram::with_precision(device, op, &inputs, &[], Precision::Mixed, &choices)?;
            program.run(1)?;
            let found = &program.results()?[0].data;
            let wrong: Vec<usize> = (0..found.len()).filter(|&at| found[at] != expected.data[at]).collect();
            if let Some(&at) = wrong.first() {
                let (count, value, found, expected) = (wrong.len(), factor.data[at], found[at], expected.data[at]);
                problems.push(format!(
                    "{count} values of the {which} factor are not rounded to nearest: {value:e} to {found:e}, expected \
                     {expected:e}"
                ));
            }
            Ok(())
        };
        is_rounded([factor.clone(), identity.clone()], &factor, "first")?;
        is_rounded([identity, factor.clone()], &factor, "second")?;
        // Times 1 in the first of two steps, because 0 times infinity is NaN.
        let ones = (0..2 * SIZE).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
        let large = |i: usize| [65_519.0, 65_520.0, -65_536.0, 1e30][i % 4];
        let second = (0..2 * SIZE).map(|i| if i < SIZE { large(i) } else { 0.0 }).collect();
        let every_row = Array::f32([SIZE, SIZE], (0..SIZE * SIZE).map(large).collect());
        is_rounded([Array::f32([SIZE, 2], ones), Array::f32([2, SIZE], second)], &every_row, "second")?;
        Ok(Outcome { extent: format!("{} values", 2 * SIZE * SIZE), error: None, problems })
    })
}

/// Finite values of every exponent of f16: 16-bit floats, the middles between two of them, and values next to these.
fn to_round(count: usize) -> Vec<f64> {
    let value = |i: usize| {
        // Twelve bits: the last one is that of a middle.
        let middle = (2048 + i * 1237 % 2048) as f64 * ((i / 4 % 42) as f64 - 37.0).exp2();
        let [below, above] =
            [-1, 1].map(|ulp: i32| f64::from(f32::from_bits((middle as f32).to_bits().wrapping_add_signed(ulp))));
        let value = [middle, below, above, -middle][i % 4];
        value.clamp(-65_519.0, 65_519.0)
    };
    (0..count).map(value).collect()
}

/// The largest difference of a prediction to f32, after as few steps as here.
const ALLOWED: f32 = 0.02;

/// Two trainings in mixed precision must be bit-identical and near the one in f32, and a step whose gradients overflow must
/// change nothing but the loss scale.
fn training() -> Check {
    Check::new("training in mixed precision", |device| {
        let (first, second) = (train(device, Precision::Mixed)?, train(device, Precision::Mixed)?);
        let mut problems = different(&first, &second);
        let single = train(device, Precision::Float32)?;
        let predictions = |bits: &[(String, Vec<u32>)]| {
            let found = bits.iter().find(|(name, _)| name == "predictions");
            found.map_or(Vec::new(), |(_, bits)| bits.iter().map(|&bits| f32::from_bits(bits)).collect())
        };
        let (mixed, single) = (predictions(&first), predictions(&single));
        let off = mixed.iter().zip(&single).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        if mixed.is_empty() || !mixed.iter().all(|value| value.is_finite()) || off > ALLOWED {
            problems.push(format!("predictions differ from those in f32 by {off:.1e}, more than {ALLOWED}"));
        }
        problems.extend(skipped(device)?);
        Ok(Outcome { extent: "2 epochs, a skipped step".to_owned(), error: Some(f64::from(off)), problems })
    })
}

/// The problem of a step that is to be skipped, if any.
fn skipped(device: &Device) -> Result<Option<String>> {
    let mut model = models::lenet([28, 28, 1], 10);
    let compile = Compile { precision: Precision::Mixed, metrics: vec![], ..Compile::default() };
    model.compile(device, compile)?;
    let data = made_up(&model, 8, &kiln::losses::SparseCategoricalCrossentropy::default())?;
    let before = model.get_weights()?;
    let scale = 2f32.powi(100);
    model.set_loss_scale(LossScale { scale, ..LossScale::default() })?;
    model.train_on_batch(&data)?;
    let found = model.loss_scale()?;
    let expected = LossScale { scale: scale / 2.0, finite_steps: 0, skipped_steps: 1 };
    let unchanged = model.get_weights()?.iter().zip(&before).all(|(a, b)| a.values == b.values);
    let as_expected = unchanged && found == Some(expected);
    Ok((!as_expected).then(|| format!("a step with gradients that overflow: weights kept {unchanged}, then {found:?}")))
}
