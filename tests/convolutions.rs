//! Convolutional layers and their gradients, compared with Keras 3.15.

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, Limits};
use kiln::layers::{
    Activation, BatchNormalization, Conv2D, Conv2DTranspose, Dense, DepthwiseConv2D, GlobalAveragePooling2D, Layer,
    Named, Padding, ReLU, SeparableConv2D, ZeroPadding2D,
};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::SGD;
use kiln::{Compile, Fit, Model, Sequential};
use kiln_bench::Recorder;

use crate::common::{close, device};
use crate::recorded::Recorded;

/// The model of a case, as Keras wrote it.
fn model(json: &str) -> Model {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json).unwrap();
    Model::from_json_file(file.path()).unwrap()
}

fn floats(array: &Array) -> Vec<f32> {
    array.data.iter().map(|&value| value as f32).collect()
}

fn values(array: &[f32]) -> Array {
    Array::f32([array.len()], array.iter().map(|&value| f64::from(value)).collect())
}

#[test]
fn a_step_of_each_convolution_is_that_of_keras() {
    let recorded = Recorded::open("convolutions");
    let cases = recorded.cases();
    assert_eq!(cases.len(), 32);
    for (number, case) in cases.iter().enumerate() {
        let get = |name: &str| recorded.get(number, name).unwrap_or_else(|| panic!("case {number} has no {name}"));
        let json = case["model"].as_str().unwrap();
        let mut model = model(json);
        let mut weights = model.get_weights().unwrap();
        for weight in &mut weights {
            let initial = get(&format!("initial/{}", weight.name));
            assert_eq!(*initial.shape(), weight.shape, "case {number}: {}", weight.name);
            weight.values = floats(&initial);
        }
        model.set_weights(&weights).unwrap();
        let optimizer = SGD { learning_rate: 1.0.into(), ..SGD::default() }.into();
        model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();

        let (x, y, output) = (get("x"), get("y"), get("output"));
        let agrees = |name: &str, found: &[f32], expected: &Array| {
            let expected = values(&floats(expected));
            let error = values(found).relative_error(&expected);
            assert!(error < 1e-5, "case {number}: {name} differs by {error:.1e}: {json}");
        };
        let predicted = model.predict_values(floats(&x)).unwrap();
        agrees("output", &predicted.values, &output);

        let labels = Labels::values(floats(&y), y.data.len() / y.shape()[0]);
        let data = Dataset::from_f32(x.shape()[1..].to_vec(), floats(&x), labels).unwrap();
        let history = model.fit(&data, Fit { batch_size: x.shape()[0], ..Fit::default() }).unwrap();
        let loss = case["loss"].as_f64().unwrap();
        assert!(close(history.epochs[0].loss, loss, 1e-5), "case {number}: {} {loss}", history.epochs[0].loss);
        for weight in model.get_weights().unwrap() {
            agrees(&weight.name, &weight.values, &get(&format!("after/{}", weight.name)));
        }
    }
}

/// The kernels of a prediction by a layer.
fn kernels(layer: impl Into<Named>) -> Vec<&'static str> {
    kernels_of([layer.into()])
}

/// The kernels of a prediction by some layers.
fn kernels_of<const N: usize>(layers: [Named; N]) -> Vec<&'static str> {
    let (recorder, device) = Recorder::device(Limits::WEBGPU);
    let mut model = Sequential::new([8, 8, 4]);
    for layer in layers {
        model.add(layer);
    }
    model.compile(&device, Compile { loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
    model.predict_values(vec![0.0; 8 * 8 * 4]).unwrap();
    recorder.plans()[0].calls.iter().map(|call| call.kernel.name).collect()
}

#[test]
fn bias_and_rectifier_need_no_pass_of_their_own() {
    let depthwise = DepthwiseConv2D::new([3, 3]).activation(Activation::Relu);
    assert_eq!(kernels(depthwise), ["gather.floats", "depthwise_conv2d_quads.forward"]);
    let same = Conv2DTranspose::new(4, [3, 3]).padding(Padding::Same).activation(Activation::Relu);
    let names = kernels(same);
    assert!(names.iter().all(|name| !name.starts_with("activation") && !name.starts_with("sum")), "{names:?}");
}

#[test]
fn padding_normalization_and_relu6_need_no_pass_of_their_own() {
    let names = kernels_of([
        ZeroPadding2D::new(1).into(),
        DepthwiseConv2D::new([3, 3]).strides([2, 2]).into(),
        BatchNormalization::new().into(),
        ReLU::new().max_value(6.0).into(),
    ]);
    let folded = ["fold_batch_norm.of_weights", "fold_batch_norm.of_bias"];
    assert_eq!(names, ["gather.floats", folded[0], folded[1], "depthwise_conv2d_quads.forward"]);
}

#[test]
fn a_convolution_of_a_padded_image_has_the_bits_of_one_that_pads_it() {
    let image: Vec<f32> = (0..2 * 8 * 6 * 4).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let convolutions: [fn(usize, Padding) -> Named; 2] = [
        |stride, padding| Conv2D::new(5, [3, 3]).strides([stride, stride]).padding(padding).named("conv"),
        |stride, padding| DepthwiseConv2D::new([3, 3]).strides([stride, stride]).padding(padding).named("conv"),
    ];
    for (convolution, (stride, padding)) in convolutions
        .into_iter()
        .flat_map(|conv| [(1, [[1, 1], [1, 1]]), (2, [[0, 1], [0, 1]])].map(|case| (conv, case)))
    {
        let trained = |padded: bool| {
            let mut model = Sequential::new([8, 6, 4]);
            model.add(Conv2D::new(4, [1, 1]));
            if padded {
                model.add(ZeroPadding2D::new(padding)).add(convolution(stride, Padding::Valid));
            } else {
                model.add(convolution(stride, Padding::Same));
            }
            model.add(GlobalAveragePooling2D::new()).add(Dense::new(2));
            model.compile(device(), Compile { loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
            let labels = Labels::values(vec![1.0, -1.0, 0.5, 0.0], 2);
            model.fit(&Dataset::from_f32([8, 6, 4], image.clone(), labels).unwrap(), Fit::default()).unwrap();
            let weights = model.get_weights().unwrap().into_iter().flat_map(|weight| weight.values);
            weights.map(f32::to_bits).collect::<Vec<u32>>()
        };
        assert_eq!(trained(true), trained(false), "stride {stride}");
    }
}

#[test]
fn a_group_per_channel_is_a_depthwise_convolution() {
    let names = kernels(Conv2D::new(4, [3, 3]).groups(4));
    assert_eq!(names, ["gather.floats", "depthwise_conv2d_quads.forward"]);
}

fn error(layer: impl Into<Named>) -> String {
    let mut model = Sequential::new([6, 7, 4]);
    model.add(layer);
    model.compile(device(), Compile { loss: MeanSquaredError.into(), ..Compile::default() }).unwrap_err().to_string()
}

#[test]
fn bad_arguments_are_named() {
    let assert_error = |layer: Named, expected: &str| {
        let error = error(layer);
        assert!(error.contains(expected), "{error}");
    };
    let conv = || Conv2D::new(6, [3, 3]);
    let transposed = || Conv2DTranspose::new(6, [3, 3]);
    assert_error(conv().groups(3).into(), "groups: expected a divisor of 4, the number of channels, found 3");
    assert_error(conv().groups(4).into(), "groups: expected a divisor of 6, the number of filters, found 4");
    assert_error(conv().groups(0).into(), "groups: expected at least 1, found 0");
    assert_error(conv().dilation_rate([0, 1]).into(), "dilation_rate: expected at least 1 x 1, found 0 x 1");
    let both = "dilation_rate: expected 1 x 1 with strides above 1, found 1 x 2";
    assert_error(conv().dilation_rate([1, 2]).strides([2, 1]).into(), both);
    assert_error(transposed().dilation_rate([1, 2]).strides([2, 1]).into(), both);
    let window = "expected an image of at least 7 x 3, or padding 'same'";
    assert_error(conv().dilation_rate([3, 1]).into(), window);
    assert_error(DepthwiseConv2D::new([3, 3]).dilation_rate([3, 1]).into(), window);
    let multiplier = "depth_multiplier: expected at least 1, found 0";
    assert_error(DepthwiseConv2D::new([3, 3]).depth_multiplier(0).into(), multiplier);
    assert_error(SeparableConv2D::new(2, [3, 3]).depth_multiplier(0).into(), multiplier);
    assert_error(SeparableConv2D::new(0, [3, 3]).into(), "filters: expected at least 1, found 0");
    assert_error(DepthwiseConv2D::new([3, 0]).into(), "kernel_size: expected at least 1 x 1, found 3 x 0");
    let far = DepthwiseConv2D::new([3, 3]).padding(Padding::Same).dilation_rate([1 << 40, 1]);
    assert_error(far.into(), "dilation_rate: expected a window of at most 1073741823 pixels, found");
    let added = "output_padding: expected less than the strides, 2 x 2, found 2 x 0";
    assert_error(transposed().strides([2, 2]).output_padding([2, 0]).into(), added);
    let even = Conv2DTranspose::new(6, [4, 4]).strides([2, 2]).padding(Padding::Same).output_padding([0, 0]);
    let expected = "output_padding: expected at least 1 for a window of 4 pixels and padding 'same', found 0 x 0";
    assert_error(even.into(), expected);
}
