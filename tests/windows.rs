//! Networks with tensors larger than the device's largest binding.

use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Limits, Plan, TensorType};
use kiln::layers::{
    Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D, Padding, Regularizer,
};
use kiln::ops::{Conv2d, Matmul, SumRows};
use kiln::optimizers::{Adam, Optimizer, RMSprop, SGD};
use kiln::{Compile, Device, Fit, Model, Sequential};

use crate::common::{bits, close, device};
use kiln_bench::Recorder;

/// Smaller than the first layer's output for a batch, the first dense layer's kernel, and all weights.
const LIMIT: u64 = 512 << 10;

fn data() -> Dataset {
    let values = Array::random([70, 16, 16, 4], 1).data.into_iter().map(|value| value as f32).collect();
    Dataset::from_f32([16, 16, 4], values, Labels::index((0..70).map(|i| i % 5).collect(), 5)).unwrap()
}

fn model() -> Model {
    let same = |filters| Conv2D::new(filters, [3, 3]).padding(Padding::Same);
    let mut model = Sequential::new([16, 16, 4]);
    model
        .add(same(32).activation(Activation::Relu).kernel_regularizer(Regularizer::l2(0.01)))
        .add(BatchNormalization::new())
        .add(MaxPooling2D::new([2, 2]))
        .add(Dropout::new(0.25))
        .add(same(16))
        .add(Flatten)
        .add(Dense::new(192).activation(Activation::Tanh).kernel_regularizer(Regularizer::l1(0.001)))
        .add(Dropout::new(0.5))
        .add(Dense::new(5).activation(Activation::Softmax));
    model
}

fn trained(device: &Device, compile: Compile) -> Model {
    let mut model = model();
    model.compile(device, compile).unwrap();
    model.fit(&data(), Fit { batch_size: 32, epochs: 2, ..Fit::default() }).unwrap();
    model
}

#[test]
fn a_network_that_is_larger_than_the_devices_bindings_learns_and_predicts_the_same_bits() {
    let small = device().with_binding_limit(LIMIT).unwrap();
    assert_eq!(small.info().limits.max_binding_bytes, LIMIT);
    let compile = |optimizer: Arc<dyn Optimizer>| Compile { optimizer, ..Compile::default() };
    let compiles: [&dyn Fn() -> Compile; 3] = [
        &|| Compile { global_clipnorm: Some(0.5), ..compile(Adam::default().into()) },
        &|| Compile { clipvalue: Some(0.01), ..compile(SGD { momentum: 0.9, ..SGD::default() }.into()) },
        &|| Compile { clipnorm: Some(0.1), ..compile(RMSprop::default().into()) },
    ];
    for made in compiles {
        let [mut whole, mut in_windows] = [device(), &small].map(|device| trained(device, made()));
        assert_eq!(bits(&in_windows.get_weights().unwrap()), bits(&whole.get_weights().unwrap()));
        assert_eq!(in_windows.predict(&data()).unwrap(), whole.predict(&data()).unwrap());
        let [a, b] = [&mut whole, &mut in_windows].map(|model| model.evaluate(&data()).unwrap());
        assert!(close(b.loss, a.loss, 1e-6) && a.accuracy() == b.accuracy(), "{a:?} {b:?}");
    }
}

#[test]
fn no_call_of_a_plan_binds_more_than_the_limit() {
    let (recorder, device) = Recorder::device(Limits { max_binding_bytes: LIMIT, ..Limits::WEBGPU });
    trained(&device, Compile::default());
    let plans = recorder.plans();
    let arguments = || plans.iter().flat_map(|plan| &plan.calls).flat_map(|call| &call.arguments);
    assert!(arguments().all(|argument| argument.bytes <= LIMIT && argument.offset.is_multiple_of(256)));
    assert!(plans.iter().flat_map(|plan| &plan.buffers).any(|buffer| buffer.bytes > LIMIT));
}

#[test]
fn a_batch_that_cannot_be_cut_is_an_error_with_its_layer_its_tensor_the_limit_and_a_batch_that_fits() {
    // The dense layer has two values per sample: 32 samples are the fewest that end at an aligned offset.
    let mut model = Sequential::new([10, 10, 3]);
    model.add(Conv2D::new(5, [3, 3])).add(Flatten).add(Dense::new(2));
    model.add(Activation::Softmax);
    let limits = Limits { max_binding_bytes: 40_000, ..Limits::WEBGPU };
    model.compile(&Recorder::device(limits).1, Compile::default()).unwrap();
    let values = vec![0.0; 33 * 300];
    let data = Dataset::from_f32([10, 10, 3], values, Labels::index(vec![0; 33], 2)).unwrap();
    let error = model.fit(&data, Fit { batch_size: 33, ..Fit::default() }).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "a batch of 33 samples does not fit the device; one of 31 does: dense: tensor `a` of matmul.nn"
        ),
        "{error}"
    );
    assert!(error.contains("the device binds at most 40000 bytes"), "{error}");
}

#[test]
fn vgg16s_largest_layers_can_be_planned_within_webgpus_limits() {
    let mut graph = kiln::graph::Graph::new();
    let mut given = |name: &str, shape: &[usize]| {
        let buffer = graph.buffer(name);
        graph.persistent(TensorType::f32(shape), buffer, 0)
    };
    let (x, fc1) = (given("x", &[32, 25_088]), given("fc1", &[25_088, 4096]));
    let (image, kernel) = (given("image", &[32, 224, 224, 64]), given("kernel", &[3, 3, 64, 64]));
    let product = graph.add(Matmul::default(), &[x, fc1]).unwrap();
    let convolved = Conv2d { strides: [1, 1], padding: kiln::ops::Padding::Same.into(), bias: false };
    let convolved = graph.add(convolved, &[image, kernel]).unwrap();
    for loss in [product, convolved] {
        let buffer = graph.buffer(&format!("{loss:?}"));
        graph.place(loss, buffer, 0).unwrap();
        let sum = graph.add(SumRows, &[loss]).unwrap();
        let gradients = kiln::ops::gradients(&mut graph, sum, &[x, fc1, image, kernel]).unwrap();
        for (i, tensor) in gradients.into_iter().flatten().enumerate() {
            let buffer = graph.buffer(&format!("gradient {i} of {loss:?}"));
            graph.place(tensor, buffer, 0).unwrap();
        }
    }
    let plan = Plan::new(&graph, &Limits::WEBGPU).unwrap();
    let windows = |kernel: &str| plan.calls.iter().filter(|call| call.kernel.name == kernel).count();
    assert_eq!((windows("matmul.tn"), windows("matmul.nn"), windows("conv2d.shared_tiles")), (4, 8, 4), "{plan}");
    assert_eq!((windows("conv2d_weight_gradient.forward"), windows("sum.gradient")), (4, 5), "{plan}");
}
