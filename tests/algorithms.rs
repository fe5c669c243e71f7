//! Convolutions by Winograd's minimal filtering against direct ones and against sums in f64.

use std::sync::Arc;

use kiln::graph::{Array, Choices, Op};
use kiln::ops::{Conv2d, Conv2dInputGradient, Conv2dWeightGradient, Padding};
use kiln::{Algorithms, Device, OpProgram};

/// Image, kernel and padding of the networks' convolutions, with few images.
const LAYERS: [(&str, [usize; 4], [usize; 4], Padding); 8] = [
    ("lenet.conv2", [2, 14, 14, 20], [5, 5, 20, 50], Padding::Same),
    ("cifar10_deep.conv2", [1, 32, 32, 32], [3, 3, 32, 32], Padding::Same),
    ("cifar10_deep.conv3", [2, 16, 16, 32], [3, 3, 32, 64], Padding::Same),
    ("cifar10_deep.conv4", [2, 16, 16, 64], [3, 3, 64, 64], Padding::Valid),
    ("vgg16.block3", [1, 14, 14, 256], [3, 3, 256, 64], Padding::Same),
    ("inception_v3.conv2d_4", [1, 21, 21, 80], [3, 3, 80, 192], Padding::Valid),
    ("inception_v3.conv2d_9", [1, 35, 35, 48], [5, 5, 48, 64], Padding::Same),
    ("inception_v3.conv2d_10", [1, 35, 35, 64], [3, 3, 64, 96], Padding::Same),
];

/// A convolution and its gradients with their inputs.
fn ops(x: [usize; 4], kernel: [usize; 4], padding: Padding) -> [(Arc<dyn Op>, [Array; 2]); 3] {
    let strides = [1, 1];
    let out = |extent: usize, taps: usize| if padding == Padding::Same { extent } else { extent + 1 - taps };
    let padding = padding.into();
    let y = [x[0], out(x[1], kernel[0]), out(x[2], kernel[1]), kernel[3]];
    let [image, filters, gradient] = [(x, 1), (kernel, 2), (y, 3)].map(|(shape, seed)| Array::random(shape, seed));
    [
        (Arc::new(Conv2d { strides, padding, bias: false }), [image.clone(), filters.clone()]),
        (Arc::new(Conv2dInputGradient { strides, padding, image: [x[1], x[2]] }), [gradient.clone(), filters]),
        (Arc::new(Conv2dWeightGradient { strides, padding, size: [kernel[0], kernel[1]] }), [image, gradient]),
    ]
}

fn result(device: &Device, op: &Arc<dyn Op>, inputs: &[Array; 2]) -> (Array, bool) {
    let mut program = OpProgram::with_choices(device, op.clone(), inputs, &[], &Choices::default()).unwrap();
    program.run(1).unwrap();
    (program.results().unwrap().remove(0), program.plan().to_string().contains("winograd"))
}

#[test]
fn fast_convolutions_are_as_exact_as_documented() {
    let cpu = Device::cpu().unwrap();
    for (layer, x, kernel, padding) in LAYERS {
        for (op, inputs) in ops(x, kernel, padding) {
            let expected = &op.reference(&inputs.iter().collect::<Vec<_>>(), &Default::default())[0];
            for (algorithms, by_winograd, allowed) in
                [(Algorithms::Fast, true, 3e-6), (Algorithms::Direct, false, 2e-6)]
            {
                let (found, is_winograd) = result(&cpu.with_algorithms(algorithms), &op, &inputs);
                let name = format!("{} of {layer}, {algorithms:?}", op.name());
                assert_eq!(is_winograd, by_winograd, "{name}");
                let error = found.relative_error(expected);
                println!("{name}: {error:.1e}");
                assert!(error <= allowed, "{name}: {error:.1e}");
            }
        }
    }
}

/// Sums of the same sign over many tiles, whose errors would grow with the number of tiles in one long sum.
#[test]
fn a_gradient_of_weights_over_thousands_of_tiles_is_as_exact() {
    let cpu = Device::cpu().unwrap().with_algorithms(Algorithms::Fast);
    let [_, _, (op, inputs)] = ops([4, 128, 128, 16], [3, 3, 16, 16], Padding::Same);
    let inputs = inputs.map(|Array { ty, data }| Array { ty, data: data.into_iter().map(f64::abs).collect() });
    let expected = &op.reference(&inputs.iter().collect::<Vec<_>>(), &Default::default())[0];
    let (found, by_winograd) = result(&cpu, &op, &inputs);
    let error = found.relative_error(expected);
    assert!(by_winograd && error <= 3e-6, "{error:.1e}");
}

#[test]
fn a_convolution_is_direct_where_minimal_filtering_does_not_pay() {
    let cpu = Device::cpu().unwrap().with_algorithms(Algorithms::Fast);
    let cases = [
        ("few channels", [1, 32, 32, 3], [3, 3, 3, 32], [1, 1]),
        ("few filters", [1, 32, 32, 32], [3, 3, 32, 8], [1, 1]),
        ("strides", [1, 32, 32, 32], [3, 3, 32, 32], [2, 2]),
        ("another size", [1, 32, 32, 32], [1, 7, 32, 32], [1, 1]),
        ("few tiles", [1, 10, 10, 32], [3, 3, 32, 32], [1, 1]),
        ("a single pixel", [1, 3, 3, 32], [3, 3, 32, 32], [1, 1]),
    ];
    for (name, x, kernel, strides) in cases {
        let op: Arc<dyn Op> = Arc::new(Conv2d { strides, padding: Padding::Valid.into(), bias: false });
        assert!(!result(&cpu, &op, &[Array::random(x, 1), Array::random(kernel, 2)]).1, "{name}");
    }
}

/// A sample's result depends neither on the other samples of a batch nor on windows of it.
#[test]
fn bits_do_not_depend_on_batches_and_windows() {
    let cpu = Device::cpu().unwrap().with_algorithms(Algorithms::Fast);
    let (kernel, size) = ([3, 3, 32, 48], [12, 12, 32]);
    let all = ops([9, size[0], size[1], size[2]], kernel, Padding::Same);
    for (i, (op, inputs)) in all.iter().enumerate() {
        let (expected, by_winograd) = result(&cpu, op, inputs);
        assert!(by_winograd);
        for limit in [512 << 10, 300 << 10] {
            let (found, by_winograd) = result(&cpu.with_binding_limit(limit).unwrap(), op, inputs);
            assert!(by_winograd && found.data == expected.data, "{} within {limit} bytes", op.name());
        }
        if i < 2 {
            // The transformed filters exceed this limit, but for the gradient of the image, which has 32 channels, not 48.
            let (found, by_winograd) = result(&cpu.with_binding_limit(256 << 10).unwrap(), op, inputs);
            assert_eq!(by_winograd, i == 1, "{} within 256 KiB", op.name());
            assert!(found.relative_error(&expected) < 1e-5, "{} within 256 KiB", op.name());
            let sample = |array: &Array, n: usize| {
                let size = array.data.len() / 9;
                let data = array.data[n * size..][..size].to_vec();
                Array { ty: kiln::graph::TensorType::f32(array.shape().sample().batched(1)), data }
            };
            for n in [0, 8] {
                let (found, _) = result(&cpu, op, &[sample(&inputs[0], n), inputs[1].clone()]);
                assert_eq!(found.data, sample(&expected, n).data, "{} of sample {n}", op.name());
            }
        }
    }
}
