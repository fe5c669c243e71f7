//! Mixed precision: factors of products rounded to f16, dynamic loss scaling.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kiln::data::{Dataset, Labels, idx};
use kiln::graph::{Array, Choices, Interpreter, Op, Step, Tensor, TensorType};
use kiln::layers::{Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D};
use kiln::losses::MeanSquaredError;
use kiln::ops::{Case, Conv2d, Conv2dWeightGradient, Matmul, Padding, RoundF16, cases, gradients};
use kiln::optimizers::{Adam, Optimizer, RMSprop, SGD, WeightDecay};
use kiln::{
    Algorithms, Compile, Device, Error, Fit, LossScale, Model, OpProgram, Precision, Sequential, Weight, models,
};

use crate::bench::{Bench, read};
use crate::common::{bars, bits, compiled, device, largest_difference, logits, model};

fn mixed() -> Compile {
    Compile { precision: Precision::Mixed, ..Compile::default() }
}

/// A compiled model, whose weights are the same in each call.
fn with(mut model: Model, compile: Compile) -> Model {
    model.compile(device(), compile).unwrap();
    model
}

/// The ops whose first two inputs are factors.
const PRODUCTS: [&str; 4] = ["matmul", "conv2d", "conv2d_input_gradient", "conv2d_weight_gradient"];

/// The values rounded to 16-bit floats.
pub fn rounded(array: &Array) -> Array {
    RoundF16.reference(&[array], &Step::default()).remove(0)
}

/// The result of an op in this precision.
pub fn result(device: &Device, op: &Arc<dyn Op>, inputs: &[Array], precision: Precision) -> Array {
    let choices = Choices::default();
    let mut program = OpProgram::with_precision(device, op.clone(), inputs, &[], precision, &choices).unwrap();
    program.run(1).unwrap();
    program.results().unwrap().remove(0)
}

#[test]
fn values_round_to_16_bit_floats_on_the_device_and_in_the_reference_as_ieee_754_says() {
    let mut values: Vec<f32> = (0..5000).map(|i| (2047 + i) as f32 * 2f32.powi(i % 48 - 40)).collect();
    values.extend([65_504.0, 65_519.0, 65_519.996, 65_520.0, 65_536.0, 1e38, f32::INFINITY, f32::NAN, 1e-30, 0.0]);
    values.extend([2f32.powi(-25), 2f32.powi(-25) * 1.000_001, 6.1e-5, 2f32.powi(-14), f32::MIN_POSITIVE]);
    values.extend((0..=u16::MAX).map(|bits| half::f16::from_bits(bits).to_f32()));
    values.extend(values.clone().iter().map(|value| -value));
    let x = Array::f32([values.len()], values.iter().copied().map(f64::from).collect());
    let op: Arc<dyn Op> = Arc::new(RoundF16);
    let found = result(device(), &op, std::slice::from_ref(&x), Precision::Float32);
    let reference = rounded(&x);
    for ((x, found), reference) in values.iter().zip(&found.data).zip(&reference.data) {
        let expected = half::f16::from_f32(*x).to_f64();
        let is = |value: f64| value.to_bits() == expected.to_bits() || (value.is_nan() && expected.is_nan());
        assert!(is(*found) && is(*reference), "{x:e}: {found:e} and {reference:e}, expected {expected:e}");
    }
}

/// Where products do not run on cooperative matrices, which add in an order of their own, they have the same bits as well.
#[test]
fn products_in_mixed_precision_are_those_of_rounded_factors_by_either_algorithm() {
    let has_factors = |case: &Case| PRODUCTS.contains(&case.op.name()) && case.inputs[0].data.len() < 20_000;
    let of_ops: Vec<Case> = cases().into_iter().filter(has_factors).collect();
    let of_gradients = of_ops.iter().step_by(5).flat_map(|case| case.gradients().unwrap()).filter(has_factors);
    let algorithms = match device().limits().unwrap().gpu_kernels {
        true => &[Algorithms::Fast][..], // as directly
        false => &[Algorithms::Fast, Algorithms::Direct],
    };
    let mut compared: BTreeMap<&str, usize> = BTreeMap::new();
    for case in of_gradients.chain(of_ops.iter().cloned()) {
        let mut inputs = case.inputs.clone();
        inputs.iter_mut().take(2).for_each(|factor| *factor = rounded(factor));
        let expected = &case.op.reference(&inputs.iter().collect::<Vec<_>>(), &case.step)[0];
        for &algorithms in algorithms {
            let device = device().with_algorithms(algorithms);
            let found = result(&device, &case.op, &case.inputs, Precision::Mixed);
            let error = found.relative_error(expected);
            assert!(error < 1e-5, "{}, {algorithms:?}: {error:e}", case.name);
            // In Float32 only, batch normalization is folded into the weights.
            let is_folded = case.name.contains("and batch_norm");
            if !device.limits().unwrap().cooperative_matrices && !is_folded {
                let of_rounded = result(&device, &case.op, &inputs, Precision::Float32);
                assert!(found.data == of_rounded.data, "{}, {algorithms:?}", case.name);
            }
        }
        *compared.entry(case.op.name()).or_default() += 1;
    }
    assert!(compared.len() == PRODUCTS.len() && compared.values().all(|&count| count > 5), "{compared:?}");
}

#[test]
fn products_whose_factors_exceed_a_binding_are_rounded_in_windows() {
    let random = |shape: &[usize], seed| Array::random(shape.to_vec(), seed);
    let (strides, padding) = ([1, 1], Padding::Same.into());
    let ops: [(Arc<dyn Op>, [Array; 2]); 3] = [
        (Arc::new(Conv2d { strides, padding, bias: false }), [random(&[9, 12, 12, 32], 1), random(&[3, 3, 32, 4], 2)]),
        (Arc::new(Matmul { transpose_b: true, ..Matmul::default() }), [random(&[400, 120], 1), random(&[300, 120], 2)]),
        (
            Arc::new(Conv2dWeightGradient { strides, padding, size: [3, 3] }),
            [random(&[9, 12, 12, 32], 1), random(&[9, 12, 12, 4], 2)],
        ),
    ];
    let limit = 128 << 10;
    let small = device().with_binding_limit(limit).unwrap();
    for (op, inputs) in ops {
        assert!(inputs[0].ty.bytes() > limit);
        let rounded = [0, 1].map(|at| rounded(&inputs[at]));
        let expected = &op.reference(&[&rounded[0], &rounded[1]], &Step::default())[0];
        let error = result(&small, &op, &inputs, Precision::Mixed).relative_error(expected);
        assert!(error < 1e-5, "{}: {error:e}", op.name());
    }
}

/// A product in f32, then a rectified convolution and a product of the same image in mixed precision, to a loss.
fn mixed_graph(inputs: &[Array]) -> (Bench, Vec<Tensor>, Tensor) {
    let mut bench = Bench::new();
    let given: Vec<_> = inputs.iter().map(|value| bench.given(value)).collect();
    let graph = &mut bench.graph;
    let x = graph.reshape(given[0], [60, 3]).unwrap();
    let x = graph.add(Matmul::default(), &[x, given[5]]).unwrap();
    let x = graph.reshape(x, [2, 6, 5, 3]).unwrap();
    graph.set_precision(Precision::Mixed);
    let convolution = Conv2d { strides: [1, 1], padding: Padding::Valid.into(), bias: true };
    let y = graph.add(convolution, &[x, given[1], given[2]]).unwrap();
    let y = graph.add(kiln::ops::Activation { function: kiln::ops::Function::Relu }, &[y]).unwrap();
    let again = Conv2d { strides: [2, 2], padding: Padding::Same.into(), bias: false };
    let z = graph.add(again, &[x, given[1]]).unwrap();
    let y = graph.reshape(y, [2, 4 * 3 * 7]).unwrap();
    let z = graph.reshape(z, [2, 3 * 3 * 7]).unwrap();
    let y = graph.add(Matmul::default(), &[y, given[3]]).unwrap();
    let z = graph.add(Matmul { transpose_b: true, ..Matmul::default() }, &[z, given[4]]).unwrap();
    graph.set_precision(Precision::Float32);
    let sum = graph.add(kiln::ops::ScaleAdd { a: 0.3, b: 0.3 }, &[y, z]).unwrap();
    let loss = graph.add(kiln::ops::Sum { scale: 0.5 }, &[sum]).unwrap();
    (bench, given, loss)
}

/// The values of a graph in f64, with the factors of its products rounded as the precision of their nodes says.
fn interpret(bench: &Bench, step: &Step) -> Interpreter {
    let mut interpreter = Interpreter::new();
    bench.values.iter().for_each(|(_, value, tensor)| interpreter.set(*tensor, value.clone()));
    for node in bench.graph.nodes() {
        let mut taken: Vec<Array> = node.inputs.iter().map(|&input| interpreter.get(&bench.graph, input)).collect();
        if node.precision == Precision::Mixed && PRODUCTS.contains(&node.op.name()) {
            taken.iter_mut().take(2).for_each(|factor| *factor = rounded(factor));
        }
        let values = node.op.reference(&taken.iter().collect::<Vec<_>>(), step);
        node.outputs.iter().zip(values).for_each(|(&output, value)| interpreter.set(output, value));
    }
    interpreter
}

#[test]
fn a_graph_in_mixed_precision_and_its_gradients_are_those_of_rounded_factors_in_f64() {
    let shapes: [&[usize]; 6] = [&[2, 6, 5, 3], &[3, 3, 3, 7], &[7], &[84, 5], &[5, 63], &[3, 3]];
    let inputs: Vec<Array> = (1..).zip(shapes).map(|(seed, shape)| Array::random(shape, seed)).collect();
    let (mut bench, given, loss) = mixed_graph(&inputs);
    let found = gradients(&mut bench.graph, loss, &given).unwrap();
    let products = bench.graph.nodes().iter().filter(|node| PRODUCTS.contains(&node.op.name()));
    let count = |precision| products.clone().filter(|node| node.precision == precision).count();
    // Of each product, two gradients.
    assert_eq!((count(Precision::Mixed), count(Precision::Float32)), (4 + 8, 1 + 2));
    let kept: Vec<_> =
        found.into_iter().enumerate().map(|(i, gradient)| (format!("d{i}"), gradient.unwrap())).collect();
    for (name, gradient) in &kept {
        bench.keep(*gradient, name);
    }
    let step = Step::default();
    let (expected, in_f32) = (interpret(&bench, &step), bench.interpret(&step));
    let buffers = bench.run(step);
    for (name, gradient) in &kept {
        let (expected, in_f32) = (expected.get(&bench.graph, *gradient), in_f32.get(&bench.graph, *gradient));
        let found = read(&buffers, name, &TensorType::f32(expected.shape().clone()));
        let error = found.relative_error(&expected);
        assert!(error < 1e-5, "{name}: {error:e}");
        // The gradient of the bias is a sum, but rounding decides where the rectifier is open at most.
        assert!(name == "d2" || found.relative_error(&in_f32) > 1e-5, "{name} is that in f32");
    }
}

#[test]
fn gradients_in_mixed_precision_are_near_those_in_f32_and_not_scaled() {
    let data = bars(24);
    let of = |compile| with(logits_of_softmax(), compile).gradients(&data).unwrap();
    for (mixed, single) in of(mixed()).iter().zip(&of(Compile::default())) {
        let largest = single.values.iter().fold(0f32, |most, value| most.max(value.abs()));
        let off = largest_difference(&mixed.values, &single.values);
        assert!(off < 2e-2 * f64::from(largest), "{}: off by {off} of {largest}", mixed.name);
        assert!(off > 0.0 || mixed.name.ends_with("bias"), "{} has no rounding", mixed.name);
    }
}

fn logits_of_softmax() -> Model {
    let mut model = logits();
    model.add(Activation::Softmax);
    model
}

/// The bits of weights and of the optimizer's state, by the names in a checkpoint.
fn state(model: &Model) -> Vec<(String, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    model.save_checkpoint(&file).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> =
        tensors.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect();
    tensors.sort();
    tensors
}

/// A scale with which every gradient overflows: 2^120.
const TOO_LARGE: LossScale = LossScale { scale: f32::from_bits(0x7b80_0000), finite_steps: 7, skipped_steps: 3 };

#[test]
fn a_step_whose_gradient_is_not_finite_changes_no_weight_and_no_moment_and_halves_the_scale() {
    let decay = WeightDecay { rate: 0.1, ..WeightDecay::default() };
    let optimizers: [Arc<dyn Optimizer>; 3] = [
        Adam { amsgrad: true, weight_decay: decay, ..Adam::default() }.into(),
        SGD { momentum: 0.9, ..SGD::default() }.into(),
        RMSprop { centered: true, momentum: 0.5, ..RMSprop::default() }.into(),
    ];
    let data = bars(24);
    for optimizer in optimizers {
        for accumulate in [1, 3] {
            let mut model = logits_of_softmax();
            model.layers("dense").unwrap().set_learning_rate_factor(0.5).unwrap();
            let compile = Compile { optimizer: optimizer.clone(), accumulate, global_clipnorm: Some(1.0), ..mixed() };
            let mut model = with(model, compile);
            model.train_on_batch(&data).unwrap();
            let before = state(&model);
            model.set_loss_scale(TOO_LARGE).unwrap();
            let score = model.train_on_batch(&data).unwrap();
            assert!(score.loss.is_finite());
            assert!(state(&model) == before, "{optimizer:?} in {accumulate} shards");
            let found = model.loss_scale().unwrap().unwrap();
            assert_eq!(found, LossScale { scale: TOO_LARGE.scale / 2.0, finite_steps: 0, skipped_steps: 4 });
            model.set_loss_scale(LossScale::default()).unwrap();
            model.train_on_batch(&data).unwrap();
            let after = state(&model);
            assert!(after.iter().zip(&before).any(|(a, b)| a != b), "{optimizer:?} in {accumulate} shards");
            assert!(model.get_weights().unwrap().iter().all(|weight| weight.values.iter().all(|v| v.is_finite())));
        }
    }
}

#[test]
fn the_scale_doubles_after_2000_finite_steps_and_halves_until_gradients_are_finite() {
    let data = bars(24);
    let mut model = with(logits_of_softmax(), mixed());
    assert_eq!(model.loss_scale().unwrap(), Some(LossScale { scale: 32_768.0, finite_steps: 0, skipped_steps: 0 }));
    model.set_loss_scale(LossScale { finite_steps: 1998, ..LossScale::default() }).unwrap();
    let mut step = || {
        model.train_on_batch(&data).unwrap();
        model.loss_scale().unwrap().unwrap()
    };
    assert_eq!(step(), LossScale { scale: 32_768.0, finite_steps: 1999, skipped_steps: 0 });
    assert_eq!(step(), LossScale { scale: 65_536.0, finite_steps: 0, skipped_steps: 0 });
    assert_eq!(step(), LossScale { scale: 65_536.0, finite_steps: 1, skipped_steps: 0 });

    let scale = 2f32.powi(30);
    model.set_loss_scale(LossScale { scale, ..LossScale::default() }).unwrap();
    let before = bits(&model.get_weights().unwrap());
    let history = model.fit(&data, Fit { batch_size: 8, epochs: 15, shuffle: false, ..Fit::default() }).unwrap();
    let found = model.loss_scale().unwrap().unwrap();
    assert!((1..40).contains(&found.skipped_steps), "{found:?}");
    assert_eq!(found.scale, scale / 2f32.powi(found.skipped_steps as i32));
    assert_eq!(found.finite_steps + found.skipped_steps, 45);
    assert!(bits(&model.get_weights().unwrap()) != before && history.epochs.iter().all(|logs| logs.loss.is_finite()));
}

#[test]
fn a_loss_scale_that_is_not_a_power_of_two_or_not_in_use_is_an_error() {
    let mut model = with(model(), mixed());
    for scale in [0.0, 3.0, -2.0, f32::NAN, f32::INFINITY, 1e-40, 2f32.powi(127)] {
        let error = model.set_loss_scale(LossScale { scale, ..LossScale::default() }).unwrap_err().to_string();
        assert!(error.contains("expected a power of two from 2^-126 to 2^126"), "{error}");
    }
    assert_eq!(model.loss_scale().unwrap(), Some(LossScale::default()));
    let mut single = compiled();
    assert_eq!(single.loss_scale().unwrap(), None);
    let error = single.set_loss_scale(LossScale::default()).unwrap_err().to_string();
    assert!(error.contains("expected a model that is compiled with `Precision::Mixed`"), "{error}");
}

fn with_dropout() -> Model {
    let mut model = logits();
    model.add(Dropout::new(0.25)).add(Activation::Softmax);
    model
}

#[test]
fn a_resumed_training_in_mixed_precision_ends_with_the_bits_of_one_that_was_not_interrupted() {
    let fit = |model: &mut Model, initial_epoch, epochs| {
        let fit = Fit { initial_epoch, epochs, seed: 3, validation_split: 0.1, ..Fit::default() };
        model.fit(&bars(131), fit).unwrap();
    };
    let compiled = |accumulate| {
        let mut model = with(with_dropout(), Compile { accumulate, ..mixed() });
        // Some steps are skipped before the checkpoint, and some after it.
        model.set_loss_scale(LossScale { scale: 2f32.powi(22), ..LossScale::default() }).unwrap();
        model
    };
    for accumulate in [1, 2] {
        let mut whole = compiled(accumulate);
        fit(&mut whole, 0, 4);
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint.safetensors");
        let mut first = compiled(accumulate);
        fit(&mut first, 0, 2);
        first.save_checkpoint(&checkpoint).unwrap();
        let mut second = compiled(accumulate);
        second.initialize(99).unwrap();
        assert_eq!(second.load_checkpoint(&checkpoint).unwrap(), 2);
        assert_eq!(second.loss_scale().unwrap(), first.loss_scale().unwrap());
        fit(&mut second, 2, 4);
        let [expected, found] = [&whole, &second].map(|model| bits(&model.get_weights().unwrap()));
        assert!(expected == found, "in {accumulate} shards");
        let [expected, found] = [&whole, &second].map(|model| model.loss_scale().unwrap().unwrap());
        assert_eq!(expected, found);
        assert!(expected.skipped_steps > 0, "{expected:?}");
    }
}

#[test]
fn a_checkpoint_of_another_precision_says_what_to_set_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut trained = with(model(), mixed());
    trained.fit(&bars(24), Fit::default()).unwrap();
    trained.save_checkpoint(&checkpoint).unwrap();
    let mut single = compiled();
    let before = bits(&single.get_weights().unwrap());
    let error = single.load_checkpoint(&checkpoint).unwrap_err().to_string();
    let expected = "expected a checkpoint of a training in precision float32, as the model is compiled with, found one in \
                    mixed; set `Compile::precision`";
    assert!(error.contains(expected), "{error}");
    assert_eq!(bits(&single.get_weights().unwrap()), before);
    single.save_checkpoint(&checkpoint).unwrap();
    let error = trained.load_checkpoint(&checkpoint).unwrap_err().to_string();
    assert!(error.contains("in precision mixed, as the model is compiled with, found one in float32"), "{error}");
}

#[test]
fn an_overflow_of_16_bit_floats_in_the_forward_pass_is_an_error_and_not_a_skipped_step() {
    let values = vec![1e6, -1e6, 2e6, 3e6];
    let data = Dataset::from_f32([2], values, Labels::values(vec![1.0, 2.0], 1)).unwrap();
    let line = |compile| {
        let mut model = Sequential::new([2]);
        model.add(Dense::new(1));
        with(model, Compile { loss: MeanSquaredError.into(), metrics: vec![], ..compile })
    };
    assert!(line(Compile::default()).fit(&data, Fit::default()).is_ok());
    let error = line(mixed()).fit(&data, Fit::default()).unwrap_err();
    assert!(matches!(error, Error::NonFinite { epoch: 1, step: 1, .. }), "{error}");
}

#[test]
fn an_overflow_behind_a_saturating_activation_is_an_error_at_the_end_of_an_epoch() {
    let mut model = Sequential::new([1]);
    model.add(Dense::new(1).activation(Activation::Sigmoid));
    let compile = Compile { loss: MeanSquaredError.into(), ..mixed() };
    let mut model = with(model, Compile { metrics: vec![], ..compile });
    let data = Dataset::from_f32([1], vec![1e6; 8], Labels::values(vec![0.5; 8], 1)).unwrap();
    let error = model.fit(&data, Fit { batch_size: 1, epochs: 10, ..Fit::default() }).unwrap_err();
    assert!(matches!(&error, Error::NonFinite { epoch: 5, what, .. } if what.starts_with("a gradient")), "{error}");
}

#[test]
fn the_same_training_in_mixed_precision_has_the_same_bits_and_other_bits_than_in_f32() {
    let train = |compile: Compile| {
        let mut model: Model = Sequential::new([16, 16, 4]);
        model
            .add(Conv2D::new(32, [3, 3]).padding(kiln::layers::Padding::Same).activation(Activation::Relu))
            .add(BatchNormalization::new())
            .add(MaxPooling2D::new([2, 2]))
            .add(Conv2D::new(16, [3, 3]).strides([2, 2]))
            .add(Flatten)
            .add(Dense::new(5).activation(Activation::Softmax));
        let values = Array::random([70, 16, 16, 4], 1).data.into_iter().map(|value| value as f32).collect();
        let data = Dataset::from_f32([16, 16, 4], values, Labels::index((0..70).map(|i| i % 5).collect(), 5)).unwrap();
        let mut model = with(model, compile);
        model.fit(&data, Fit { batch_size: 32, epochs: 2, ..Fit::default() }).unwrap();
        let score = model.evaluate(&data).unwrap();
        let predictions: Vec<u32> = model.predict(&data).unwrap().values.iter().map(|v| v.to_bits()).collect();
        (bits(&model.get_weights().unwrap()), score.loss.to_bits(), predictions)
    };
    let (first, second, single) = (train(mixed()), train(mixed()), train(Compile::default()));
    assert!(first == second);
    assert!(first.0 != single.0 && first.1 != single.1 && first.2 != single.2);
}

/// The first images of MNIST.
fn mnist() -> Dataset {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/bench/fixtures/mnist-first");
    let read = |what| idx::read(folder.join(format!("train-{what}.gz"))).unwrap();
    let labels = Labels::index(read("labels").values.into_iter().map(u32::from).collect(), 10);
    Dataset::from_u8([28, 28, 1], read("images").values, labels).unwrap()
}

#[test]
fn lenet_learns_in_mixed_precision_as_in_f32() {
    let data = mnist().head(640);
    let losses = |precision| {
        let mut model = with(models::lenet([28, 28, 1], 10), Compile { precision, ..Compile::default() });
        // 200 steps.
        let history = model.fit(&data, Fit { batch_size: 16, epochs: 5, ..Fit::default() }).unwrap();
        let losses: Vec<f64> = history.epochs.iter().map(|logs| logs.loss).collect();
        (losses, model.evaluate(&data).unwrap().get("accuracy").unwrap(), model.loss_scale().unwrap())
    };
    let (single, accuracy, _) = losses(Precision::Float32);
    let (mixed, in_mixed, scale) = losses(Precision::Mixed);
    for (found, expected) in mixed.iter().zip(&single) {
        assert!((found - expected).abs() < 0.05 * single[0], "{mixed:?}, in f32 {single:?}");
    }
    assert!(mixed[4] < 0.2 * mixed[0] && in_mixed > 0.9, "{mixed:?}, {in_mixed}");
    assert!((in_mixed - accuracy).abs() < 0.02, "{in_mixed}, in f32 {accuracy}");
    assert_eq!(scale.map(|state| state.skipped_steps), Some(0));
}

/// Weights of one variable.
fn weight(name: &str, shape: &[usize], values: Vec<f32>) -> Weight {
    Weight { name: name.to_owned(), shape: shape.into(), values }
}

#[test]
fn predictions_and_evaluations_of_a_model_compiled_in_mixed_precision_round_factors() {
    let mut model = Sequential::new([1]);
    model.add(Dense::new(1));
    // Between two 16-bit floats: 1 + 2^-11 rounds to 1.
    let between = 1.0 + 2f32.powi(-11);
    model
        .set_weights(&[weight("dense/kernel", &[1, 1], vec![between]), weight("dense/bias", &[1], vec![between])])
        .unwrap();
    let data = Dataset::from_f32([1], vec![3.0], Labels::values(vec![0.0], 1)).unwrap();
    let compile = Compile { loss: MeanSquaredError.into(), metrics: vec![], ..Compile::default() };
    let mut predicted = |precision| {
        model.compile(device(), Compile { precision, ..compile.clone() }).unwrap();
        (model.predict(&data).unwrap().values[0], model.evaluate(&data).unwrap().loss)
    };
    let (single, single_loss) = predicted(Precision::Float32);
    assert_eq!(single, 4.0 * between);
    let (mixed, mixed_loss) = predicted(Precision::Mixed);
    assert_eq!(mixed, 3.0 + between); // the bias is not rounded
    assert!((single_loss - f64::from(single * single)).abs() < 1e-5);
    assert!((mixed_loss - f64::from(mixed * mixed)).abs() < 1e-5);
}
