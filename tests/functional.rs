//! Graphs of layers: shapes, predictions, parts, files.

use kiln::layers::{Activation, Add, Concatenate, Conv2D, Dense, Flatten, GlobalAveragePooling2D, Layer, Padding};
use kiln::{Compile, Fit, Model};

use crate::common::{bars, bits, device};

/// Two branches that are added, concatenated with a third.
fn branches() -> Model {
    let mut model = Model::new([6, 6, 1]).with_name("branches");
    let image = model.input();
    let same = |filters, size| Conv2D::new(filters, size).padding(Padding::Same);
    let a = model.apply(same(4, [3, 3]).activation(Activation::Relu).named("a"), image);
    let b = model.apply(same(4, [1, 3]).named("b"), image);
    let sum = model.apply(Add::default().named("sum"), [a, b]);
    let joined = model.apply(Concatenate::new().named("joined"), [sum, a, image]);
    let flat = model.apply(Flatten, joined);
    model.apply(Dense::new(3).activation(Activation::Softmax).named("classes"), flat);
    model
}

#[test]
fn a_graph_trains_saves_and_loads() {
    let (data, folder) = (bars(48), tempfile::tempdir().unwrap());
    let mut model = branches();
    model.compile(device(), Compile::default()).unwrap();
    model.fit(&data, Fit { epochs: 40, batch_size: 16, ..Fit::default() }).unwrap();
    assert!(model.evaluate(&data).unwrap().accuracy() > Some(0.9));
    model.save(folder.path()).unwrap();

    let mut loaded = Model::load(folder.path()).unwrap();
    assert_eq!(loaded.summary(), model.summary());
    loaded.to_device(device()).unwrap();
    assert_eq!(loaded.predict(&data).unwrap(), model.predict(&data).unwrap());
}

#[test]
fn parts_give_what_their_layers_give() {
    let data = bars(5);
    let model = branches();
    let part = |layer: &str| {
        let mut part = model.sub_model(model.get_layer(layer).unwrap().output).unwrap();
        part.to_device(device()).unwrap();
        part.predict(&data).unwrap()
    };
    let (a, b, sum, joined) = (part("a"), part("b"), part("sum"), part("joined"));
    assert_eq!((sum.shape.to_vec(), joined.shape.to_vec()), (vec![5, 6, 6, 4], vec![5, 6, 6, 9]));
    let added: Vec<f32> = a.values.iter().zip(&b.values).map(|(a, b)| a + b).collect();
    assert_eq!(sum.values, added);
    let kiln::data::Values::U8(bytes) = data.values().unwrap() else { panic!("bytes") };
    for (i, pixel) in joined.values.chunks(9).enumerate() {
        assert_eq!(pixel[..4], sum.values[4 * i..][..4]);
        assert_eq!(pixel[4..8], a.values[4 * i..][..4]);
        assert!((f64::from(pixel[8]) - f64::from(bytes[i]) / 255.0).abs() < 1e-7);
    }
}

#[test]
fn a_part_takes_a_new_head_and_keeps_its_weights() {
    let model = branches();
    let mut part = model.sub_model(model.get_layer("joined").unwrap().output).unwrap();
    let kept = bits(&part.get_weights().unwrap());
    let means = part.apply(GlobalAveragePooling2D::new(), part.output());
    part.apply(Dense::new(2).named("head"), means);
    assert_eq!(part.output_shape().unwrap(), &[2].into());
    let weights = part.get_weights().unwrap();
    assert_eq!(bits(&weights)[..kept.len()], kept);
    assert_eq!(weights.last().unwrap().name, "head/bias");
}

#[test]
fn layers_are_found_while_a_graph_is_being_made() {
    let mut model = Model::new([6, 6, 1]);
    let a = model.apply(Flatten.named("a"), model.input());
    let b = model.apply(Flatten.named("b"), model.input());
    model.set_trainable("a", false).unwrap();
    let found = model.get_layer("a").unwrap();
    assert_eq!((found.output, found.index, found.trainable), (a, 2, false));
    model.apply(Concatenate::new(), [a, b]);
    assert_eq!((model.get_layer("a").unwrap().index, model.get_layer("b").unwrap().index), (1, 2));
}

#[test]
fn nodes_and_layers_that_do_not_fit_are_errors_that_name_them() {
    let mut model = branches();
    let other = branches();
    let error = model.sub_model(other.output()).unwrap_err().to_string();
    assert!(error.contains("found a node of another model"), "{error}");
    model.apply(Dense::new(1).named("foreign"), other.output());
    let error = model.get_weights().unwrap_err().to_string();
    assert!(
        error.starts_with("foreign (Dense): expected this model's input or outputs of its layers as inputs"),
        "{error}"
    );

    let mut model = branches();
    let a = model.get_layer("a").unwrap().output;
    let three = model.apply(Conv2D::new(3, [1, 1]), model.input());
    model.apply(Add::default().named("sum2"), [a, three]);
    let error = model.output_shape().unwrap_err().to_string();
    let expected = "sum2 (Add): expected inputs whose axes, from the last one, are equal or 1";
    assert_eq!(error, format!("{expected}, found inputs [6, 6, 4], [6, 6, 3]"));

    let mut model = branches();
    model.set_output(model.get_layer("sum").unwrap().output).unwrap();
    let error = model.output_shape().unwrap_err().to_string();
    assert!(error.starts_with("joined (Concatenate): expected a connection to an output of the model"), "{error}");
}
