//! Every op's gradient against finite differences, and errors of lowerings.

use std::sync::Arc;

use kiln::graph::{Array, DType, Error, Graph, Limits, Lowering, Op, Plan, Result, Step, Tensor, TensorType};
use kiln::ops::{
    Activation, AffineTransform, AffineTransformGradient, AvgPool2d, AvgPool2dGradient, BatchNorm, BatchNormInference,
    BatchNormInputGradient, BatchNormSums, BatchToSpace, Binary, BinaryGradient, Case, Conv2d, Conv2dInputGradient,
    Conv2dTranspose, Conv2dWeightGradient, DepthwiseConv2d, DepthwiseConv2dInputGradient,
    DepthwiseConv2dWeightGradient, FillMode, Function, GlobalAvgPool2d, GlobalAvgPool2dGradient, GlobalMaxPool2d,
    GlobalMaxPool2dGradient, GroupNorm, GroupNormSums, Matmul, MaxPool2d, MaxPool2dGradient, Moments, Padding, Permute,
    RepeatChannels, Resize, ResizeGradient, ScaleAdd, SoftmaxCrossEntropy, SoftmaxCrossEntropyGradient, SpaceToBatch,
    Split, Sum, Transpose, ZeroPad2d, ZeroPad2dGradient, cases, gradients,
};

use crate::bench::{Bench, read};

#[test]
fn every_gradient_in_the_middle_of_a_graph_is_that_of_finite_differences() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.inputs.iter().all(|input| input.data.len() < 700)) {
        for &input in &case.differentiable {
            let error = gradient_error(case, input);
            if error > 1e-3 {
                wrong.push(format!("{} input {input}: {error:.1e}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A loss around the case's op: `1.7 sum of tanh(0.2 op(…, 0.8 x, …))`. The scale keeps tanh from saturating.
fn loss(case: &Case, inputs: &[Array], input: usize) -> (Bench, Tensor, Tensor) {
    let mut bench = Bench::new();
    let mut taken: Vec<Tensor> = inputs.iter().map(|value| bench.given(value)).collect();
    let x = taken[input];
    taken[input] = bench.graph.add(ScaleAdd { a: 0.7, b: 0.1 }, &[x, x]).unwrap();
    let y = bench.graph.add_shared(case.op.clone(), &taken).unwrap()[0];
    let small = bench.graph.add(ScaleAdd { a: 0.1, b: 0.1 }, &[y, y]).unwrap();
    let squashed = bench.graph.add(Activation { function: Function::Tanh }, &[small]).unwrap();
    let loss = bench.graph.add(Sum { scale: 1.7 }, &[squashed]).unwrap();
    (bench, x, loss)
}

/// Compares the device's gradient with central differences of the f64 reference, at up to 24 elements.
fn gradient_error(case: &Case, input: usize) -> f64 {
    let (mut bench, x, at) = loss(case, &case.inputs, input);
    let dx = gradients(&mut bench.graph, at, &[x]).unwrap()[0].unwrap();
    bench.keep(dx, "dx");
    let buffers = bench.run(case.step);
    let found = read(&buffers, "dx", &TensorType::new(case.inputs[input].shape().clone(), DType::F32));
    let value = |inputs: &[Array]| {
        let (bench, _, at) = loss(case, inputs, input);
        bench.interpret(&case.step).get(&bench.graph, at).data[0]
    };
    let count = found.data.len();
    let places: Vec<usize> = (0..count).step_by(count.div_ceil(24)).collect();
    let differences = places.iter().map(|&place| {
        let [up, down] = [1e-5, -1e-5].map(|change| {
            let mut inputs = case.inputs.clone();
            inputs[input].data[place] += change;
            value(&inputs)
        });
        (up - down) / 2e-5
    });
    let expected = Array::f32([places.len()], differences.collect());
    Array::f32([places.len()], places.iter().map(|&place| found.data[place]).collect()).relative_error(&expected)
}

/// An op whose shape rule accepts everything.
#[derive(Debug)]
struct Gullible(Arc<dyn Op>);

impl Op for Gullible {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn infer(&self, _: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![TensorType::f32([1]); 3])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        self.0.lower(lowering)
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        Vec::new()
    }
}

/// Ops that compute sizes from shapes, each with invalid inputs.
fn misfits() -> Vec<(Arc<dyn Op>, Vec<TensorType>)> {
    fn misfit<const N: usize>(op: impl Op + 'static, inputs: [TensorType; N]) -> (Arc<dyn Op>, Vec<TensorType>) {
        (Arc::new(op), inputs.into())
    }
    let (strides, pool_size, padding) = ([1, 1], [3, 3], Padding::Valid);
    let (max, avg) = (MaxPool2d { pool_size, strides, padding }, AvgPool2d { pool_size, strides, padding });
    let padding = padding.into();
    let [image, small] = [[1, 5, 5, 2], [1, 2, 2, 2]].map(TensorType::f32);
    let [matrix, row, kernel] = [TensorType::f32([3, 4]), TensorType::f32([5]), TensorType::f32([3, 3, 7, 8])];
    let [kernel_of_image, depthwise] = [[3, 3, 4, 2], [3, 3, 2, 1]].map(TensorType::f32);
    let transform = AffineTransform { interpolated: true, fill_mode: FillMode::Wrap, fill_value: 0.0 };
    let (function, resize) = (Binary::Multiply, Resize { size: [3, 4], nearest: true });
    let normalized = BatchNormInputGradient { epsilon: 1e-3, scale: false, of_batch: false };
    vec![
        misfit(Conv2d { strides, padding, bias: false }, [image.clone(), kernel.clone()]),
        misfit(Conv2dInputGradient { strides, padding, image: [5, 5] }, [image.clone(), kernel]),
        misfit(Conv2dWeightGradient { strides, padding, size: [3, 3] }, [image.clone(), image.clone()]),
        misfit(Conv2dTranspose { strides, padding, image: [7, 6], bias: false }, [image.clone(), kernel_of_image]),
        misfit(DepthwiseConv2d { strides, padding, dilation: [1, 1], bias: false }, [image.clone(), image.clone()]),
        misfit(
            DepthwiseConv2dInputGradient { strides, padding, dilation: [1, 1], image: [5, 5] },
            [image.clone(), depthwise],
        ),
        misfit(
            DepthwiseConv2dWeightGradient { strides, padding, dilation: [0, 1], size: [1, 1] },
            [image.clone(), image.clone()],
        ),
        misfit(Split { parts: 3 }, [matrix.clone()]),
        misfit(RepeatChannels { times: 0 }, [matrix.clone()]),
        misfit(BatchToSpace { block: [2, 2], before: [0, 0], image: [4, 4] }, [image.clone()]),
        misfit(SpaceToBatch { block: [0, 2], before: [0, 0], grid: [4, 4] }, [image.clone()]),
        misfit(Matmul::default(), [matrix.clone(), matrix.clone()]),
        misfit(max, [small.clone()]),
        misfit(avg, [small.clone()]),
        misfit(MaxPool2dGradient { pool: max }, [image.clone(), small.clone()]),
        misfit(AvgPool2dGradient { pool: avg, image: [5, 5] }, [small.clone()]),
        misfit(GlobalAvgPool2d, [matrix.clone()]),
        misfit(GlobalMaxPool2d, [TensorType::f32([1, 0, 5, 2])]),
        misfit(GlobalAvgPool2dGradient { image: [5, 5] }, [image.clone()]),
        misfit(GlobalMaxPool2dGradient, [image.clone(), matrix.clone()]),
        misfit(ZeroPad2d { padding: [[1, 1], [1, 1]] }, [matrix.clone()]),
        misfit(ZeroPad2dGradient { pad: ZeroPad2d { padding: [[1, 2], [0, 0]] } }, [small.clone()]),
        misfit(BatchNorm { epsilon: 1e-3, scale: true, center: false }, [matrix.clone(), row.clone()]),
        misfit(BatchNormInference { epsilon: 1e-3, scale: false, center: false }, [matrix.clone(), row.clone()]),
        misfit(BatchNormSums { epsilon: 1e-3 }, [matrix.clone(), matrix.clone(), row.clone(), row.clone()]),
        misfit(normalized, [matrix.clone(), row.clone()]),
        misfit(Moments, [TensorType::f32([0, 4])]),
        misfit(SoftmaxCrossEntropy, [matrix.clone(), row.clone()]),
        misfit(SoftmaxCrossEntropyGradient, [matrix.clone(), matrix.clone(), row.clone(), row]),
        misfit(Binary::Multiply, [matrix.clone(), TensorType::f32([3, 5])]),
        misfit(BinaryGradient { function, input: 0, shape: [3, 4].into(), other: [3, 1].into() }, [matrix.clone()]),
        misfit(Permute { order: vec![0, 2] }, [matrix.clone()]),
        misfit(GroupNorm { groups: 3, epsilon: 1e-3, scale: false, center: false }, [matrix.clone()]),
        misfit(GroupNormSums { groups: 2 }, [matrix.clone(), matrix.clone(), small.clone(), small.clone()]),
        misfit(resize, [matrix.clone()]),
        misfit(ResizeGradient { resize, image: [5, 5] }, [image.clone()]),
        misfit(transform, [image.clone(), matrix.clone()]),
        misfit(AffineTransformGradient { transform }, [matrix.clone(), TensorType::f32([3, 6])]),
        misfit(Transpose, [matrix]),
    ]
}

#[test]
fn a_lowering_refuses_what_the_shape_rule_refuses() {
    for (op, inputs) in misfits() {
        assert!(op.infer(&inputs).is_err(), "{op:?} {inputs:?}");
        let mut graph = Graph::new();
        let inputs: Vec<Tensor> = inputs
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                let buffer = graph.buffer(&format!("input {i}"));
                graph.persistent(ty, buffer, 0)
            })
            .collect();
        let output = graph.add(Gullible(op.clone()), &inputs).unwrap();
        let buffer = graph.buffer("output");
        graph.place(output, buffer, 0).unwrap();
        match Plan::new(&graph, &Limits::WEBGPU) {
            Err(Error::Inputs { op: named, .. }) => assert_eq!(named, op.name()),
            other => panic!("{op:?}: {other:?}"),
        }
    }
}
