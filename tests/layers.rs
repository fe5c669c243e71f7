//! The outputs of layers, compared with Keras 3.15.

use kiln::layers::{
    ELU, GlobalAveragePooling2D, GlobalMaxPooling2D, LeakyReLU, Named, ReLU, Rescaling, Softmax, ZeroPadding2D,
};
use kiln::{Compile, Sequential};

use crate::common::device;

/// The output of a layer for one sample.
fn given(layer: impl Into<Named>, shape: &[usize], sample: &[f32]) -> Vec<f32> {
    let mut model = Sequential::new(shape.to_vec());
    model.add(layer);
    model.compile(device(), Compile::default()).unwrap();
    model.predict_values(sample.to_vec()).unwrap().values
}

fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    let agrees = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
    assert!(agrees, "expected {expected:?}, found {found:?}");
}

#[test]
fn layers_that_work_on_each_value_give_what_keras_gives() {
    let x = [-1.0, 0.25, 0.5, 1.0, 7.0];
    let check = |layer: Named, expected: [f32; 5]| assert_close(&given(layer, &[5], &x), &expected);
    check(ReLU::new().into(), [0.0, 0.25, 0.5, 1.0, 7.0]);
    check(ReLU::new().max_value(2.0).into(), [0.0, 0.25, 0.5, 1.0, 2.0]);
    let relu = ReLU::new().max_value(6.0).negative_slope(0.1).threshold(0.5);
    check(relu.into(), [-0.15, -0.025, 0.0, 1.0, 6.0]);
    check(LeakyReLU::default().into(), [-0.3, 0.25, 0.5, 1.0, 7.0]);
    check(ELU::new(0.5).into(), [-0.316_060_28, 0.25, 0.5, 1.0, 7.0]);
    check(Rescaling::new(0.5).offset(-1.0).into(), [-1.5, -0.875, -0.75, -0.5, 2.5]);
    let softmax = given(Softmax::new(), &[5], &x);
    assert!((softmax.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{softmax:?}");
    assert!((softmax[4] / softmax[3] / 6.0f32.exp() - 1.0).abs() < 1e-5, "{softmax:?}");
}

#[test]
fn layers_that_change_an_images_size_give_what_keras_gives() {
    let image: Vec<f32> = (0..12).map(|value| value as f32).collect();
    let check = |layer: Named, expected: &[f32]| assert_close(&given(layer, &[2, 3, 2], &image), expected);
    check(GlobalAveragePooling2D::new().into(), &[5.0, 6.0]);
    check(GlobalMaxPooling2D::new().keepdims(true).into(), &[10.0, 11.0]);
    let mut padded = vec![0.0; 8];
    padded.extend([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 0.0, 0.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 0.0, 0.0]);
    check(ZeroPadding2D::new([[1, 0], [0, 1]]).into(), &padded);
}
