//! Ops on tensors larger than the largest binding: compared with the reference, and bit-identical to results without
//! limits.

use std::slice::from_ref;
use std::sync::Arc;

use kiln::graph::{Array, DType, Op, Step};
use kiln::ops::{
    Activation, ActivationGradient, Adam, AffineTransform, AffineTransformGradient, AvgPool2d, AvgPool2dGradient,
    BatchNorm, BatchNormInference, BatchNormInputGradient, BatchNormSums, Binary, BinaryGradient, Case, ClipByNorm,
    ClipByValue, Concatenate, ConcatenateGradient, Conv2d, Conv2dInputGradient, Conv2dTranspose, Conv2dWeightGradient,
    Copy, CrossEntropy, DepthwiseConv2d, DepthwiseConv2dInputGradient, DepthwiseConv2dWeightGradient, Distance, Divide,
    Dropout, Ema, Fill, FillMode, Function, Gather, GaussianNoise, GlobalAvgPool2d, GlobalMaxPool2d,
    GlobalMaxPool2dGradient, GroupNorm, LogSoftmax, Matmul, MaxPool2d, MaxPool2dGradient, MeanLoss, Moments, Multiply,
    Padding, Penalty, PenaltyGradient, PerSample, PerSampleGradient, Relu, RepeatChannels, RepeatChannelsGradient,
    Resize, ResizeGradient, Sgd, Softmax, SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient, Split, StandardizeFeatures,
    Sum, SumGradient, SumRows, TopK, Transpose, Unary, WeightDecay, ZeroPad2d, ZeroPad2dGradient,
};

use crate::common::{device, op_program, run};

const KIB: u64 = 1 << 10;

fn case(name: &str, op: impl Op + 'static, inputs: &[Array], rewritten: &[Array]) -> Case {
    let rates = [0.1, 0.01, 0.5, 0.25];
    let step = Step { first: 2, key: [3, 5], rates, learning_rate: 0.1, iteration: 5, ..Step::default() };
    let (inputs, rewritten, differentiable) = (inputs.to_vec(), rewritten.to_vec(), Vec::new());
    Case { name: name.to_owned(), op: Arc::new(op), inputs, rewritten, step, differentiable }
}

fn random<const D: usize>(shape: [usize; D]) -> Array {
    Array::random(shape, shape.iter().sum::<usize>() as u64)
}

fn positive<const D: usize>(shape: [usize; D]) -> Array {
    let mut array = random(shape);
    array.data.iter_mut().for_each(|value| *value = value.abs() + 0.25);
    array
}

fn labels(count: usize, classes: u64) -> Array {
    Array::random_below([count], DType::U32, classes, 7)
}

fn product(name: &str, transpose_a: bool, transpose_b: bool, bias: bool, inputs: &[Array]) -> Case {
    case(name, Matmul { transpose_a, transpose_b, bias }, inputs, &[])
}

/// Products with a tall `b`, split by blocks of the inner axis, which is a multiple of 4 or not.
fn tall_products() -> Vec<Case> {
    vec![
        product("nn, tall b", false, false, true, &[random([5, 600]), random([600, 32]), random([32])]),
        product("nn, tall b, odd", false, false, true, &[random([5, 601]), random([601, 32]), random([32])]),
        product("nn, both tall", false, false, true, &[random([70, 600]), random([600, 32]), random([32])]),
        gated("nn, both tall, gated", false, false, &[random([70, 600]), random([600, 32]), random([70, 32])]),
    ]
}

/// Products with a tall `a` or `c` and a transposed `b`, with the inner axis a multiple of 4 and not.
fn products() -> Vec<Case> {
    vec![
        product("nn, tall a", false, false, false, &[random([300, 64]), random([64, 20])]),
        product("nt, tall b", false, true, false, &[random([7, 64]), random([300, 64])]),
        product("nt, tall b and c", false, true, false, &[random([20, 64]), random([320, 64])]),
        product("nt, more rows than columns", false, true, false, &[random([96, 128]), random([30, 128])]),
        product("tn, tall c", true, false, false, &[random([5, 192]), random([5, 64])]),
        product("tn, tall c, odd", true, false, false, &[random([5, 193]), random([5, 64])]),
        product("tn, tall a and b", true, false, true, &[random([300, 20]), random([300, 32]), random([32])]),
        gated("nt, tall b and c, gated", false, true, &[random([20, 64]), random([320, 64]), random([20, 320])]),
        gated("tn, tall c, gated", true, false, &[random([5, 193]), random([5, 64]), random([193, 64])]),
        gated("tn, tall a and b, gated", true, false, &[random([300, 20]), random([300, 32]), random([20, 32])]),
    ]
}

/// A product followed by the gradient of a rectifier.
fn gated(name: &str, transpose_a: bool, transpose_b: bool, inputs: &[Array]) -> Case {
    let product = Matmul { transpose_a, transpose_b, bias: false };
    let op = product.fuse(&ActivationGradient { function: Function::Relu }, 1).unwrap();
    Case { op, ..case(name, product, inputs, &[]) }
}

fn images() -> Vec<Case> {
    let (strides, padding, image) = ([1, 1], Padding::Same, [8, 8]);
    let (max, avg) =
        (MaxPool2d { pool_size: [3, 3], strides, padding }, AvgPool2d { pool_size: [2, 2], strides, padding });
    let padding = padding.into();
    let (x, y) = (random([20, 8, 8, 4]), random([20, 8, 8, 8]));
    let (kernel, c) = (random([3, 3, 4, 8]), || random([8]));
    let pad = ZeroPad2d { padding: [[1, 2], [0, 1]] };
    let weights = Conv2dWeightGradient { strides, padding, size: [3, 3] };
    vec![
        case("conv2d", Conv2d { strides, padding, bias: true }, &[x.clone(), kernel.clone(), random([8])], &[]),
        case(
            "conv2d_input_gradient",
            Conv2dInputGradient { strides, padding, image },
            &[y.clone(), kernel.clone()],
            &[],
        ),
        case("conv2d_weight_gradient", weights, &[x.clone(), y.clone()], &[]),
        case(
            "conv2d_transpose",
            Conv2dTranspose { strides, padding, image, bias: true },
            &[y.clone(), kernel, random([4])],
            &[],
        ),
        case(
            "depthwise_conv2d",
            DepthwiseConv2d { strides, padding, dilation: strides, bias: true },
            &[y.clone(), random([3, 3, 8, 1]), c()],
            &[],
        ),
        case(
            "depthwise_conv2d_input_gradient",
            DepthwiseConv2dInputGradient { strides, padding, dilation: strides, image },
            &[y.clone(), random([3, 3, 8, 1])],
            &[],
        ),
        case(
            "depthwise_conv2d_weight_gradient",
            DepthwiseConv2dWeightGradient { strides, padding, dilation: strides, size: [3, 3] },
            &[y.clone(), y.clone()],
            &[],
        ),
        case("repeat_channels", RepeatChannels { times: 2 }, from_ref(&y), &[]),
        case("repeat_channels_gradient", RepeatChannelsGradient { times: 2 }, from_ref(&y), &[]),
        case("split", Split { parts: 2 }, from_ref(&y), &[]),
        case("max_pool2d", max, from_ref(&y), &[]),
        case("max_pool2d_gradient", MaxPool2dGradient { pool: max }, &[y.clone(), y.clone()], &[]),
        case("avg_pool2d", avg, from_ref(&y), &[]),
        case("avg_pool2d_gradient", AvgPool2dGradient { pool: avg, image }, from_ref(&y), &[]),
        case("global_avg_pool2d", GlobalAvgPool2d, &[random([20, 4, 4, 64])], &[]),
        case("global_max_pool2d", GlobalMaxPool2d, &[random([20, 4, 4, 64])], &[]),
        case("global_max_pool2d_gradient", GlobalMaxPool2dGradient, &[random([20, 4, 4, 64]), random([20, 64])], &[]),
        case("zero_pad2d", pad, &[random([20, 5, 7, 8])], &[]),
        case("zero_pad2d_gradient", ZeroPad2dGradient { pad }, from_ref(&y), &[]),
        case("concatenate", Concatenate, &[x.clone(), y.clone()], &[]),
        case("concatenate_gradient", ConcatenateGradient { first: 2, channels: 4 }, from_ref(&y), &[]),
        case("batch_norm", BatchNorm { epsilon: 1e-3, scale: true, center: true }, &[y.clone(), c(), c()], &[]),
        case(
            "batch_norm_inference",
            BatchNormInference { epsilon: 1e-3, scale: false, center: true },
            &[y.clone(), c(), positive([8]), c()],
            &[],
        ),
        case("batch_norm_sums", BatchNormSums { epsilon: 1e-3 }, &[y.clone(), y.clone(), c(), positive([8])], &[]),
        case(
            "batch_norm_input_gradient",
            BatchNormInputGradient { epsilon: 1e-3, scale: true, of_batch: true },
            &[y.clone(), positive([8]), c(), y.clone(), c(), c(), c()],
            &[],
        ),
        case("moments", Moments, from_ref(&y), &[]),
        case("standardize_features", StandardizeFeatures, &[y, random([512]), positive([512])], &[]),
    ]
}

fn rows_and_elements() -> Vec<Case> {
    let flat = || random([9000]);
    let bytes = Array::random_below([30, 512], DType::U8, 256, 1);
    let gather = Gather { scale: 0.5, offset: -0.5, batch: 64 };
    let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, amsgrad: false };
    let penalty = Penalty { l1: 0.25, l2: 0.5 };
    let normalization = GroupNorm { groups: 1, epsilon: 1e-3, scale: true, center: false };
    let resize = Resize { size: [4, 6], nearest: false };
    let transform = AffineTransform { interpolated: true, fill_mode: FillMode::Reflect, fill_value: 0.0 };
    let turned = AffineTransformGradient { transform };
    vec![
        case("activation", Activation { function: Function::Tanh }, &[flat()], &[]),
        case("adam", adam, &[flat()], &[flat(), flat(), positive([9000])]),
        case("sgd", Sgd { momentum: 0.9, nesterov: true }, &[flat()], &[flat(), flat()]),
        case("weight_decay", WeightDecay { rate: 0.5, count: 9000 }, &[], &[flat()]),
        case("ema", Ema { momentum: 0.9, overwrite_frequency: 3, count: 9000 }, &[], &[flat(), positive([9000])]),
        case("clip_by_value", ClipByValue { limit: 0.5, count: 9000 }, &[], &[flat()]),
        case("copy", Copy, &[flat()], &[]),
        case("dropout", Dropout { rate: 0.25, stream: 3 }, &[flat()], &[]),
        case("fill", Fill { value: 0.5, shape: [9000].into() }, &[], &[]),
        case("gather", gather, &[bytes, Array::random_below([80], DType::U32, 30, 2)], &[]),
        case("penalty_gradient", PenaltyGradient { penalty }, &[random([90, 100]), random([1])], &[]),
        case("relu", Relu { max_value: 0.5, threshold: 0.0, negative_slope: 0.25 }, &[flat()], &[]),
        case("softmax", Softmax, &[random([300, 32])], &[]),
        case("log_softmax", LogSoftmax, &[random([300, 32])], &[]),
        case("gaussian_noise", GaussianNoise { stddev: 0.5, stream: 3 }, &[random([300, 32])], &[]),
        case("binary", Binary::Maximum, &[random([300, 32]), random([300, 32])], &[]),
        case("binary, channels", Binary::Multiply, &[random([40, 4, 4, 16]), random([40, 1, 1, 16])], &[]),
        case("binary_gradient, channels", scale_gradient(), &[random([40, 4, 4, 16]), random([40, 4, 4, 16])], &[]),
        case("group_norm", normalization, &[random([300, 32]), random([32])], &[]),
        case("resize", Resize { size: [4, 6], nearest: false }, &[random([40, 3, 3, 16])], &[]),
        case("affine_transform", transform, &[random([40, 4, 6, 16]), random([40, 6])], &[]),
        case("affine_transform_gradient", turned, &[random([40, 4, 6, 16]), random([40, 6])], &[]),
        case("resize_gradient", ResizeGradient { resize, image: [3, 3] }, &[random([40, 4, 6, 16])], &[]),
        case("softmax_cross_entropy", SoftmaxCrossEntropy, &[random([300, 32]), labels(300, 32)], &[]),
        case(
            "softmax_cross_entropy_gradient",
            SoftmaxCrossEntropyGradient,
            &[random([300, 32]), labels(300, 32), positive([300]), random([300])],
            &[],
        ),
        case("cross_entropy", CrossEntropy, &[positive([300, 32]), labels(300, 32)], &[]),
        case("mean_loss", MeanLoss { distance: Distance::SquaredError }, &[random([300, 32]), random([300, 32])], &[]),
        case("top_k", TopK { k: 3, first_of_ties: true }, &[random([300, 32]), labels(300, 32)], &[]),
        case("sum_gradient", SumGradient { scale: 0.5, shape: [300, 32].into() }, &[random([32])], &[]),
        case("transpose", Transpose, &[random([9, 16, 48])], &[]),
        case("multiply", Multiply, &[flat(), flat()], &[]),
        case("divide", Divide, &[flat(), positive([9000])], &[]),
        case("unary", Unary::Power { exponent: 2.5 }, &[positive([9000])], &[]),
        case("per_sample", PerSample::Sum, &[random([300, 32])], &[]),
        case(
            "per_sample_gradient",
            PerSampleGradient { of: PerSample::Mean, shape: [300, 32].into() },
            &[random([300])],
            &[],
        ),
    ]
}

/// The gradient of a scale per sample and channel, as in squeeze and excitation.
fn scale_gradient() -> BinaryGradient {
    let (shape, other) = ([40, 1, 1, 16].into(), [40, 4, 4, 16].into());
    BinaryGradient { function: Binary::Multiply, input: 1, shape, other }
}

/// Cases with larger units.
fn large() -> Vec<Case> {
    let penalty = Penalty { l1: 0.25, l2: 0.5 };
    vec![
        case("clip_by_norm", ClipByNorm { limit: 0.5, count: 70_001 }, &[], &[random([70_001])]),
        case("penalty", penalty, &[random([300, 200])], &[]),
        case("sum", Sum { scale: 0.5 }, &[random([40_000])], &[]),
        case("sum_rows", SumRows, &[random([3000, 16])], &[]),
    ]
}

#[test]
fn ops_compute_the_same_bits_in_windows_and_what_their_reference_does() {
    let groups = [(33, tall_products()), (17, products()), (17, images()), (17, rows_and_elements()), (68, large())];
    for (limit, cases) in groups.map(|(limit, cases)| (limit * KIB, cases)) {
        let small = device().with_binding_limit(limit).unwrap();
        for case in cases {
            let [whole, cut] = [device(), &small].map(|device| op_program(&case, device).plan().calls.len());
            assert!(cut > whole, "{} is not cut", case.name);
            let found = run(&case, &small);
            assert_eq!(found, run(&case, device()), "{}", case.name);
            let taken: Vec<&Array> = case.inputs.iter().chain(&case.rewritten).collect();
            for (found, expected) in found.iter().zip(case.op.reference(&taken, &case.step)) {
                let error = found.relative_error(&expected);
                assert!(error < 1e-5, "{}: {error:.1e}", case.name);
            }
        }
    }
}
