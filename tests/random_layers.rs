//! Layers that change images at random in training, compared with Keras (`fixtures/random_layers.safetensors`, written by
//! `peers/random_layers.py`), and in models.

use kiln::data::{Dataset, Labels};
use kiln::graph::Array;
use kiln::layers::{
    Activation, Conv2D, Dense, FillMode, Flatten, FlipMode, Layer, Padding, RandomBrightness, RandomContrast,
    RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::{Adam, SGD};
use kiln::{Compile, Fit, Model, Sequential};
use serde_json::{Value, json};

use crate::common::{bars, bits, device, largest_difference};
use crate::recorded::Recorded;

fn floats(array: &Array) -> Vec<f32> {
    array.data.iter().map(|&value| value as f32).collect()
}

/// A model of some layers in Keras' format, the last one called as in training if it is `always` random.
fn of_keras(shape: &[usize], layers: &[(&str, Value)], always: bool) -> Model {
    let batch: Vec<Option<usize>> = [None].into_iter().chain(shape.iter().map(|&extent| Some(extent))).collect();
    let image = json!({"batch_input_shape": batch, "dtype": "float32", "name": "0"});
    let mut listed = vec![json!({"class_name": "InputLayer", "config": image, "name": "0", "inbound_nodes": []})];
    for (i, (class, config)) in layers.iter().enumerate() {
        let (mut config, name) = (config.clone(), (i + 1).to_string());
        config["name"] = json!(name);
        let training = if always && i + 1 == layers.len() { json!({"training": true}) } else { json!({}) };
        let call = json!([[[i.to_string(), 0, 0, training]]]);
        listed.push(json!({"class_name": class, "config": config, "name": name, "inbound_nodes": call}));
    }
    let last = layers.len().to_string();
    let ends = |name: &str| json!([[name, 0, 0]]);
    let config =
        json!({"name": "m", "layers": listed, "input_layers": ends("0"), "output_layers": ends(last.as_str())});
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    std::fs::write(&path, json!({"class_name": "Functional", "config": config}).to_string()).unwrap();
    Model::from_json_file(&path).unwrap()
}

#[test]
fn images_in_training_are_those_of_keras_for_the_same_factors() {
    let recorded = Recorded::open("random_layers");
    let cases = recorded.cases();
    assert_eq!(cases.len(), 60);
    let mut wrong = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let [x, y] = ["x", "y"].map(|name| recorded.get(i, name).unwrap());
        let layer = (case["class"].as_str().unwrap(), case["config"].clone());
        let mut model = of_keras(&x.shape()[1..], &[layer], true);
        model.to_device(device()).unwrap();
        let off = largest_difference(&model.predict_values(floats(&x)).unwrap().values, &floats(&y));
        if off > 2e-5 {
            wrong.push(format!("{case}: off by {off:.1e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The gradient of the layer's output is `dy`, and a Dense layer before it, which changes nothing, learns from that of its
/// input.
#[test]
fn gradients_of_contrast_and_brightness_are_those_of_keras() {
    let recorded = Recorded::open("random_layers");
    let (mut compared, channels) = (0, 2);
    for (i, case) in recorded.cases().iter().enumerate() {
        let Some(dx) = recorded.get(i, "dx") else { continue };
        let [x, y, dy] = ["x", "y", "dy"].map(|name| recorded.get(i, name).unwrap());
        let front = ("Dense", json!({"units": channels}));
        let layer = (case["class"].as_str().unwrap(), case["config"].clone());
        let mut model = of_keras(&x.shape()[1..], &[front, layer, ("Flatten", json!({}))], false);
        let mut weights = model.get_weights().unwrap();
        weights[0].values = vec![1.0, 0.0, 0.0, 1.0];
        model.set_weights(&weights).unwrap();
        // The gradient of the mean of (y - t)^2 is 2 (y - t) / n.
        let half = y.data.len() as f64 / 2.0;
        let targets = y.data.iter().zip(&dy.data).map(|(y, dy)| (y - half * dy) as f32).collect();
        let samples = x.shape()[0];
        let data = Labels::values(targets, y.data.len() / samples);
        let data = Dataset::from_f32(x.shape()[1..].to_vec(), floats(&x), data).unwrap();
        let optimizer = SGD { learning_rate: 1.0.into(), ..SGD::default() }.into();
        model.compile(device(), Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() }).unwrap();
        model.fit(&data, Fit { shuffle: false, ..Fit::default() }).unwrap();
        let pixels = || x.data.chunks(channels).zip(dx.data.chunks(channels));
        let mut expected = vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        for (x, dx) in pixels() {
            for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                expected[2 * a + b] -= (x[a] * dx[b]) as f32;
            }
            (0..channels).for_each(|c| expected[4 + c] -= dx[c] as f32);
        }
        let found: Vec<f32> = model.get_weights().unwrap().into_iter().flat_map(|weight| weight.values).collect();
        let off = largest_difference(&found, &expected);
        assert!(off < 1e-4, "{case}: off by {off:.1e}: {found:?}, expected {expected:?}");
        compared += 1;
    }
    assert_eq!(compared, 12);
}

/// All of the layers between two convolutions.
fn all() -> Model {
    let mut model = Sequential::new([6, 6, 1]).with_name("bars");
    model
        .add(Conv2D::new(3, [3, 3]).padding(Padding::Same).activation(Activation::Sigmoid))
        .add(RandomFlip::new(FlipMode::Horizontal))
        .add(RandomRotation::new(0.05))
        .add(RandomZoom::new(0.2).fill_mode(FillMode::Nearest))
        .add(RandomTranslation::new(0.1, 0.1).fill_mode(FillMode::Wrap))
        .add(RandomContrast::new(0.5).value_range([0.0, 1.0]))
        .add(RandomBrightness::new(0.1).value_range([0.0, 1.0]))
        .add(Flatten)
        .add(Dense::new(3).activation(Activation::Softmax));
    model
}

fn compiled(accumulate: usize) -> Model {
    let mut model = all();
    let optimizer = Adam { learning_rate: 0.01.into(), ..Adam::default() }.into();
    model.compile(device(), Compile { optimizer, accumulate, ..Compile::default() }).unwrap();
    model
}

#[test]
fn a_prediction_changes_no_image() {
    let mut plain = Sequential::new([6, 6, 1]);
    plain
        .add(Conv2D::new(3, [3, 3]).padding(Padding::Same).activation(Activation::Sigmoid))
        .add(Flatten)
        .add(Dense::new(3).activation(Activation::Softmax));
    let mut model = compiled(1);
    plain.to_device(device()).unwrap();
    let weights = model.get_weights().unwrap();
    plain.set_weights(&weights).unwrap();
    let [found, expected] = [&mut model, &mut plain].map(|model| model.predict(&bars(9)).unwrap().values);
    assert_eq!(found, expected);
}

#[test]
fn a_training_with_all_of_them_resumes_bit_for_bit_and_learns() {
    let fit = |model: &mut Model, initial_epoch, epochs| {
        model.fit(&bars(60), Fit { initial_epoch, epochs, batch_size: 16, seed: 3, ..Fit::default() }).unwrap()
    };
    let mut whole = compiled(1);
    let history = fit(&mut whole, 0, 4);
    assert!(history.epochs[3].loss < history.epochs[0].loss, "{history:?}");
    let before = compiled(1).get_weights().unwrap()[0].values.clone();
    assert_ne!(whole.get_weights().unwrap()[0].values, before, "the layer in front learns");
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("checkpoint.safetensors");
    let mut first = compiled(1);
    fit(&mut first, 0, 2);
    first.save_checkpoint(&checkpoint).unwrap();
    let mut second = compiled(1);
    let epochs = second.load_checkpoint(&checkpoint).unwrap();
    fit(&mut second, epochs, 4);
    assert_eq!(bits(&second.get_weights().unwrap()), bits(&whole.get_weights().unwrap()));
}

#[test]
fn an_image_is_changed_by_its_place_in_the_whole_batch() {
    let gradients = |accumulate| compiled(accumulate).gradients(&bars(23)).unwrap();
    let whole = gradients(1);
    for accumulate in [2, 3, 23] {
        for (found, expected) in gradients(accumulate).iter().zip(&whole) {
            let largest = expected.values.iter().fold(0f32, |most, value| most.max(value.abs()));
            let off = largest_difference(&found.values, &expected.values);
            assert!(off <= 2e-5 * f64::from(largest), "{accumulate} shards: {} is off by {off}", found.name);
        }
    }
}

#[test]
fn half_of_the_images_are_flipped_and_each_brightness_is_drawn_apart() {
    let always = |layer: kiln::layers::Named| {
        let mut model = Sequential::new([1, 2, 1]);
        model.add(layer);
        model.to_device(device()).unwrap();
        model.predict_values([0.25, 0.75].repeat(400)).unwrap().values
    };
    let images = always(RandomFlip::default().training(true));
    let flipped = images.chunks(2).filter(|image| image[0] == 0.75 && image[1] == 0.25).count();
    assert_eq!(images.chunks(2).filter(|image| image[0] == 0.25 && image[1] == 0.75).count(), 400 - flipped);
    assert!((150..250).contains(&flipped), "{flipped}");
    let images = always(RandomBrightness::new([-0.25, 0.0]).value_range([0.0, 2.0]).training(true));
    let changes: Vec<f32> = images.chunks(2).map(|image| image[1] - 0.75).collect();
    let mean = changes.iter().sum::<f32>() / 400.0;
    assert!((mean + 0.25).abs() < 0.03 && changes.iter().all(|change| (-0.5..=0.0).contains(change)), "{mean}");
    assert!(changes.iter().any(|change| *change < -0.45) && changes.iter().any(|change| *change > -0.05));
}

#[test]
fn arguments_that_a_layer_cannot_have_are_named() {
    let error = |layer: &dyn Layer| layer.output_shape(&[4, 4, 3].into()).unwrap_err().to_string();
    let expected = "factor: expected a number or two, each from -1 to 1, found [-1.5, 1.5]";
    assert_eq!(error(&RandomRotation::new(1.5)), expected);
    let expected = "width_factor: expected a number or two, each from -1 to 1, found [0.0, 2.0]";
    assert_eq!(error(&RandomTranslation::new(0.5, [2.0, 0.0])), expected);
    assert_eq!(error(&RandomZoom::new([-1.0, 0.0])), "height_factor: expected factors above -1, found -1");
    let expected = "factor: expected a number from 0 to 1, or two from -1 to 1, of which one is 0 or more";
    assert_eq!(error(&RandomContrast::new(-0.5)), format!("{expected}, found [0.0, -0.5]"));
    let range = RandomBrightness::new(0.5).value_range([1.0, 0.0]);
    assert_eq!(error(&range), "value_range: expected the least and the most value, found [1.0, 0.0]");
    let vector = RandomFlip::default().output_shape(&[4].into()).unwrap_err().to_string();
    assert_eq!(vector, "expected an input [height, width, channels]");
}
