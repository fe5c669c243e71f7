//! VGG16 and InceptionV3 with weights from a formula, compared with Keras at several depths (`tests/peers/backbones.py`
//! has the same formula).

use kiln::data::{Dataset, Labels, Preprocessing};
use kiln::models::{Top, inception_v3, vgg16};
use kiln::{Model, Weight};

use crate::common::device;
use crate::recorded::Recorded;

const IMAGES: usize = 2;
const CLASSES: usize = 10;
/// The number of recorded values per tensor.
const SAMPLES: usize = 97;
/// The tolerance, relative to the largest value of a tensor.
const TOLERANCE: f64 = 1e-3;

/// A value from 0 to 1, hashed from a name and an index in 32 bits (FNV-1a of the name, then a mixer).
fn uniform(name: &str) -> impl Fn(usize) -> f64 {
    let seed = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    move |place| {
        let mut x = (place as u32).wrapping_mul(2_654_435_761).wrapping_add(seed);
        for (shift, factor) in [(16, 0x7feb_352d), (15, 0x846c_a68b)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        f64::from(x ^ (x >> 16)) / 2f64.powi(32)
    }
}

/// Kernels within the limits of he_uniform, variances and scales from 0.5 to 1.5, all others from -0.1 to 0.1.
fn fill(weight: &mut Weight) {
    let draw = uniform(&weight.name);
    let fan_in: usize = weight.shape.iter().rev().skip(1).product();
    let value = |u: f64| match weight.name.rsplit('/').next() {
        Some("kernel") => (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
        Some("moving_variance" | "gamma") => 0.5 + u,
        _ => (2.0 * u - 1.0) * 0.1,
    };
    for (place, found) in weight.values.iter_mut().enumerate() {
        *found = value(draw(place)) as f32;
    }
}

fn images(name: &str, size: usize) -> Dataset {
    let name = format!("{name}/{size}");
    let draw = uniform(&name);
    let pixels = (0..IMAGES * size * size * 3).map(|place| (256.0 * draw(place)) as u8).collect();
    Dataset::from_u8([size, size, 3], pixels, Labels::index(vec![0; IMAGES], 1)).unwrap()
}

fn agrees_with_keras(case: usize, mut model: Model, preprocessing: Preprocessing) {
    let recorded = Recorded::open("backbones");
    let description = &recorded.cases()[case];
    assert_eq!(description["model"], model.name());
    let mut weights = model.get_weights().unwrap();
    weights.iter_mut().for_each(fill);
    model.set_weights(&weights).unwrap();
    let size = description["size"].as_u64().unwrap() as usize;
    let data = images(model.name(), size).preprocess_input(preprocessing).unwrap();
    for layer in description["layers"].as_array().unwrap() {
        let layer = layer.as_str().unwrap();
        let mut part = model.sub_model(model.get_layer(layer).unwrap().output).unwrap();
        part.to_device(device()).unwrap();
        let found = part.predict(&data).unwrap().values;
        let expected = recorded.get(case, layer).unwrap().data;
        let largest = recorded.get(case, &format!("{layer}/largest")).unwrap().data[0];
        let found: Vec<f32> = found.iter().step_by((found.len() / SAMPLES).max(1)).copied().collect();
        assert_eq!(found.len(), expected.len(), "{layer}");
        for (found, expected) in found.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs() / largest;
            assert!(error <= TOLERANCE, "{layer}: {found} for {expected}, {error:.1e} of the largest value {largest}");
        }
    }
}

#[test]
fn vgg16_agrees_with_keras_at_every_depth() {
    agrees_with_keras(0, vgg16([32, 32, 3], Top::Classes(CLASSES)), Preprocessing::Caffe);
}

#[test]
fn inception_v3_agrees_with_keras_at_every_depth() {
    agrees_with_keras(1, inception_v3([75, 75, 3], Top::Classes(CLASSES)), Preprocessing::Tf);
}
