//! Whole models in Keras' files (`peers/keras_files.py`): `.keras`, legacy `.h5`, and weights as `.weights.h5`, with
//! models within models, shared layers and open input sizes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln::data::{Dataset, Labels, idx};
use kiln::losses::MeanSquaredError;
use kiln::optimizers::{Adam, Optimizer, SGD};
use kiln::{Compile, Fit, LoadModel, Model, Weight};
use safetensors::SafeTensors;

use crate::common::device;

const NAMES: [&str; 4] = ["shared", "nested", "chain", "open_size"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras_files").join(name)
}

/// Unpacks a file to a folder.
fn unpacked(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    std::io::copy(&mut idx::open(fixture(&format!("{name}.gz"))).unwrap(), &mut bytes).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Keras' recording for a model.
struct Recorded(Vec<u8>);

impl Recorded {
    fn of(name: &str) -> Recorded {
        Recorded(std::fs::read(fixture(&format!("{name}.safetensors"))).unwrap())
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let bytes = tensors.tensor(name).unwrap_or_else(|_| panic!("{name}")).data().to_vec();
        bytes.chunks_exact(4).map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
    }
}

fn size_of(name: &str) -> LoadModel {
    let input_shape = (name == "open_size").then(|| [5, 4, 2].into());
    LoadModel { input_shape, ..LoadModel::default() }
}

fn assert_near(what: &str, found: &[f32], expected: &[f32]) {
    let scale = expected.iter().fold(0f32, |scale, value| scale.max(value.abs()));
    let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() <= 1e-5 * scale);
    assert!(near && found.len() == expected.len(), "{what}: {found:?}, expected {expected:?}");
}

fn assert_predicts(what: &str, model: &mut Model, recorded: &Recorded) {
    model.to_device(device()).unwrap();
    assert_near(what, &model.predict_values(recorded.values("x")).unwrap().values, &recorded.values("y"));
}

fn loaded(folder: &Path, name: &str, ending: &str) -> Model {
    Model::load_with(unpacked(folder, &format!("{name}.{ending}")), size_of(name)).unwrap()
}

#[test]
fn whole_models_of_keras_predict_what_keras_predicts() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let recorded = Recorded::of(name);
        for ending in ["keras", "h5"] {
            let mut model = loaded(folder.path(), name, ending);
            for Weight { name, values, .. } in model.get_weights().unwrap() {
                assert_eq!(values, recorded.values(&name), "{name} of {ending}");
            }
            assert_predicts(&format!("{name}.{ending}"), &mut model, &recorded);
        }
    }
}

#[test]
fn weights_of_nested_models_are_loaded_in_every_format_of_keras() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let recorded = Recorded::of(name);
        let mut files = vec![format!("{name}.weights.h5"), format!("{name}.h5"), format!("{name}.keras")];
        files.extend((name == "nested").then(|| "keras2_names.h5".to_owned()));
        for file in files {
            let model = unpacked(folder.path(), &format!("{name}.keras"));
            let mut model = Model::from_json_file_with(model, size_of(name)).unwrap();
            model.initialize(9).unwrap();
            model.load_weights(unpacked(folder.path(), &file)).unwrap();
            assert_predicts(&file, &mut model, &recorded);
        }
    }
}

#[test]
fn what_kiln_writes_it_reads_with_all_names_and_bits() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let recorded = Recorded::of(name);
        let model = loaded(folder.path(), name, "keras");
        let weights = model.get_weights().unwrap();
        let place = |ending: &str| folder.path().join(format!("written_{name}{ending}"));
        for ending in [".keras", ".h5", ""] {
            model.save(place(ending)).unwrap();
            let mut again = Model::load(place(ending)).unwrap();
            assert_eq!(again.get_weights().unwrap(), weights, "{name}{ending}");
            assert_eq!(again.summary(), model.summary(), "{name}{ending}");
            assert_eq!(again.to_json().unwrap(), model.to_json().unwrap(), "{name}{ending}");
            assert_predicts(&format!("{name}{ending}"), &mut again, &recorded);
        }
        for ending in [".keras", ".h5"] {
            let again = place(&format!("_again{ending}"));
            Model::load(place(ending)).unwrap().save(&again).unwrap();
            assert_eq!(std::fs::read(again).unwrap(), std::fs::read(place(ending)).unwrap(), "the same bytes");
        }
        for ending in [".weights.h5", ".safetensors"] {
            model.save_weights(place(ending)).unwrap();
            let mut again = Model::from_json_file(place(".keras")).unwrap();
            again.initialize(4).unwrap();
            assert_ne!(again.get_weights().unwrap(), weights);
            again.load_weights(place(ending)).unwrap();
            assert_eq!(again.get_weights().unwrap(), weights, "{name}{ending}");
        }
    }
}

#[test]
fn a_model_whose_json_is_longer_than_an_attribute_of_hdf5_is_read_back_from_h5() {
    let mut model = kiln::Sequential::new([2]);
    (0..100).for_each(|_| {
        model.add(kiln::layers::Dense::new(2));
    });
    model.initialize(5).unwrap();
    assert!(model.to_json().unwrap().len() > 1 << 16);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.h5");
    model.save(&path).unwrap();
    let again = Model::load(&path).unwrap();
    assert_eq!(again.get_weights().unwrap(), model.get_weights().unwrap());
    assert_eq!(again.to_json().unwrap(), model.to_json().unwrap());
}

/// Gradients of shared weights are sums over the calls, and each call of a shared normalization updates its statistics.
#[test]
fn a_step_of_shared_and_nested_layers_is_that_of_keras() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let recorded = Recorded::of(name);
        let mut model = loaded(folder.path(), name, "keras");
        let outputs = model.output_shape().unwrap().clone();
        let labels = Labels::values(recorded.values("labels"), outputs.elements());
        let data = Dataset::from_f32([5, 4, 2], recorded.values("x"), labels).unwrap();
        let optimizer = SGD { learning_rate: 0.1.into(), ..SGD::default() }.into();
        let loss = MeanSquaredError.into();
        model.compile(device(), Compile { optimizer, loss, ..Compile::default() }).unwrap();
        let history = model.fit(&data, Fit { epochs: 1, batch_size: 4, shuffle: false, ..Fit::default() }).unwrap();
        assert_near(name, &[history.epochs[0].loss as f32], &recorded.values("losses")[..1]);
        for Weight { name, values, .. } in model.get_weights().unwrap() {
            assert_near(&name, &values, &recorded.values(&format!("final/{name}")));
        }
        let after = model.evaluate(&data).unwrap().loss as f32;
        assert_near(name, &[after], &recorded.values("losses")[1..]);
    }
}

#[test]
fn a_training_of_keras_goes_on_with_its_optimizer() {
    let folder = tempfile::tempdir().unwrap();
    let (path, recorded) = (unpacked(folder.path(), "trained.keras"), Recorded::of("trained"));
    let compiled = |optimizer: Arc<dyn Optimizer>| {
        let mut model = Model::from_json_file(&path).unwrap();
        let compile = Compile { optimizer, loss: MeanSquaredError.into(), ..Compile::default() };
        model.compile(device(), compile).unwrap();
        model
    };
    let adam = || Arc::new(Adam { learning_rate: 0.5.into(), ..Adam::default() });
    let mut model = compiled(adam());
    assert_eq!(model.load_checkpoint(&path).unwrap(), 0);
    assert!((model.learning_rate().unwrap() - 0.03).abs() < 1e-8, "that of the file");
    let labels = Labels::values(recorded.values("labels"), 2);
    let data = Dataset::from_f32([3], recorded.values("x"), labels).unwrap();
    let history = model.fit(&data, Fit { epochs: 3, batch_size: 4, shuffle: false, ..Fit::default() }).unwrap();
    let losses: Vec<f32> = history.epochs.iter().map(|logs| logs.loss as f32).collect();
    assert_near("losses", &losses, &recorded.values("losses"));
    for Weight { name, values, .. } in model.get_weights().unwrap() {
        assert_near(&name, &values, &recorded.values(&format!("final/{name}")));
    }

    let mut other = compiled(Arc::new(SGD::default()));
    let error = other.load_checkpoint(&path).unwrap_err().to_string();
    assert!(error.contains("the optimizer sgd, as the model is compiled with, found Adam"), "{error}");
    let mut model = Model::from_json_file(&path).unwrap();
    model.set_trainable("a", false).unwrap();
    let loss = MeanSquaredError.into();
    model.compile(device(), Compile { optimizer: adam(), loss, ..Compile::default() }).unwrap();
    let before = model.get_weights().unwrap();
    let error = model.load_checkpoint(&path).unwrap_err().to_string();
    assert!(error.contains("trained variables, found a/kernel in the file only"), "{error}");
    assert_eq!(model.get_weights().unwrap(), before);
    let untrained = compiled(adam()).load_checkpoint(unpacked(folder.path(), "chain.keras")).unwrap_err().to_string();
    assert!(untrained.contains("expected a compiled model, found one without an optimizer"), "{untrained}");
}

#[test]
fn layers_of_nested_models_are_listed_by_path_and_frozen_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = loaded(folder.path(), "nested", "keras");
    let names: Vec<String> = model.layers("twice").unwrap().iter().map(|layer| layer.name.to_owned()).collect();
    assert_eq!(names, ["twice/conv", "twice/norm", "twice/block/a", "twice/block/relu", "twice/pool"]);
    let trained = |model: &mut Model| model.layers("twice").unwrap().iter().filter(|layer| layer.trainable).count();
    assert_eq!(trained(&mut model), 5);
    assert_eq!(model.layers("frozen").unwrap().iter().filter(|layer| layer.trainable).count(), 0);
    model.set_trainable("twice", false).unwrap();
    assert_eq!(trained(&mut model), 0);
    model.set_trainable("twice/block", true).unwrap();
    assert_eq!(trained(&mut model), 2);
    let table = model.summary();
    let rows: Vec<&str> = table.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(rows, ["image", "relu", "twice", "frozen", "both", "head"]);
    assert!(table.to_string().contains("twice[1][0]"), "{table}");
    let inner = model.get_layer("twice").unwrap();
    assert_eq!((inner.class_name, inner.output_shape.unwrap().to_vec()), ("Functional", vec![3]));
}

#[test]
fn a_part_of_a_model_keeps_whole_models_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = loaded(folder.path(), "nested", "keras");
    let x = Recorded::of("nested").values("x");
    let both = model.get_layer("both").unwrap().output;
    let mut part = model.sub_model(both).unwrap();
    part.save(folder.path().join("part.keras")).unwrap();
    let mut again = Model::load(folder.path().join("part.keras")).unwrap();
    let inside = model.get_layer("twice/norm").unwrap().output;
    let mut half = model.sub_model(inside).unwrap();
    assert_eq!(half.get_weights().unwrap()[0].name, "twice_conv/kernel");
    half.save(folder.path().join("half")).unwrap();
    for model in [&mut model, &mut part, &mut again, &mut half] {
        model.to_device(device()).unwrap();
    }
    let values = |model: &Model| model.predict_values(x.clone()).unwrap().values;
    assert_eq!((values(&part), values(&part).len()), (values(&again), 4 * 9));
    assert_eq!(values(&half).len(), 4 * 3 * 2 * 3);
    let weights =
        |model: &Model| model.get_weights().unwrap().into_iter().map(|weight| weight.values).collect::<Vec<_>>();
    assert_eq!(weights(&part), weights(&model)[..weights(&part).len()]);
}

#[test]
fn models_are_nested_and_layers_shared_in_code() {
    use kiln::layers::{Add, Dense, Dropout, Layer};
    use kiln::{Error, Sequential};

    let folder = tempfile::tempdir().unwrap();
    let mut base = Sequential::new([3]).with_name("base");
    base.add(Dense::new(3)).add(Dense::new(3));
    base.initialize(5).unwrap();
    let mut model = Model::new([3]);
    let x = model.input();
    let a = model.apply(Dense::new(3).named("shared"), x);
    let b = model.apply_again("shared", a);
    let c = model.apply_model(&base, b).unwrap();
    let d = model.apply_again("base", a);
    let sum = model.apply(Add::default(), [c, d]);
    model.apply(Dropout::new(0.5), sum);
    let names: Vec<String> = model.get_weights().unwrap().into_iter().map(|weight| weight.name).collect();
    let dense = ["base/dense/kernel", "base/dense/bias", "base/dense_1/kernel", "base/dense_1/bias"];
    assert_eq!(names, [&["shared/kernel", "shared/bias"], &dense[..]].concat());
    let inner = |model: &Model| model.get_weights().unwrap()[2..].iter().map(|w| w.values.clone()).collect::<Vec<_>>();
    assert_eq!(inner(&model), base.get_weights().unwrap().into_iter().map(|w| w.values).collect::<Vec<_>>());
    model.save(folder.path().join("m.keras")).unwrap();
    let mut again = Model::load(folder.path().join("m.keras")).unwrap();
    assert_eq!(again.summary(), model.summary());
    let values = vec![0.5, -1.0, 2.0];
    for model in [&mut model, &mut again] {
        model.to_device(device()).unwrap();
    }
    assert_eq!(again.predict_values(values.clone()).unwrap(), model.predict_values(values).unwrap());

    let problem = |build: &dyn Fn(&mut Model)| {
        let mut model = Model::new([3]);
        model.apply(Dense::new(4).named("a"), model.input());
        build(&mut model);
        model.output_shape().unwrap_err().to_string()
    };
    let unknown = problem(&|model| _ = model.apply_again("b", model.input()));
    assert_eq!(unknown, "b (shared layer): expected a layer of this model, found no layer of this name");
    let unfit = problem(&|model| _ = model.apply_again("a", model.output()));
    let expected = "a (Dense): expected an input that fits the weights of the layer's first call, found an input [4]";
    assert_eq!(unfit, expected);
    let shape = problem(&|model| _ = model.apply_model(&base, model.output()).unwrap());
    assert_eq!(shape, "base (Sequential): expected an input [3], found an input [4]");
    let twice = problem(&|model| {
        model.apply_model(&base, model.input()).unwrap();
        model.apply_model(&base, model.input()).unwrap();
    });
    assert_eq!(twice, "base (Sequential): expected a unique name without `/`, found `base`");
    let inside = problem(&|model| {
        model.apply_model(&base, model.input()).unwrap();
        let inside = model.get_layer("base/dense").unwrap().output;
        model.apply(Dense::new(1), inside);
    });
    assert!(inside.contains("found a node inside of a nested model"), "{inside}");
    assert!(matches!(model.apply_model(&Model::new([3]), model.output()), Err(Error::Empty(_))));
}

#[test]
fn an_open_size_is_fixed_by_a_given_one_that_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked(folder.path(), "open_size.keras");
    let with = |shape: &[usize]| {
        let input_shape = Some(shape.into());
        Model::load_with(&path, LoadModel { input_shape, ..LoadModel::default() }).map_err(|error| error.to_string())
    };
    assert_eq!(with(&[9, 7, 2]).unwrap().input_shape(), &[9, 7, 2].into());
    let error = with(&[9, 7, 3]).unwrap_err();
    assert!(error.ends_with("input: expected a shape that fits [null,null,null,2], found [9, 7, 3]"), "{error}");
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.contains("[null,null,null,2]; fix it with `LoadModel::input_shape`"), "{error}");
}

#[test]
fn names_decide_about_formats() {
    let folder = tempfile::tempdir().unwrap();
    let model = loaded(folder.path(), "shared", "keras");
    let place = |name: &str| folder.path().join(name);
    for name in ["m.weights.h5", "m.Weights.H5", "m.json", "m.safetensors"] {
        let error = model.save(place(name)).unwrap_err().to_string();
        assert!(error.contains("a file that ends with `.keras`"), "{error}");
        assert!(!place(name).exists());
    }
    for name in ["w.h5", "w.keras", "w.json"] {
        let error = model.save_weights(place(name)).unwrap_err().to_string();
        assert!(error.contains("`.weights.h5` as in Keras 3"), "{error}");
        assert!(!place(name).exists());
    }
    let weights = unpacked(folder.path(), "shared.weights.h5");
    let error = Model::load(&weights).unwrap_err().to_string();
    assert!(error.contains("expected a whole model (an attribute `model_config`), found weights only"), "{error}");
    std::fs::write(place("x.bin"), "neither").unwrap();
    let error = Model::load(place("x.bin")).unwrap_err().to_string();
    assert!(error.contains("expected a folder with a model.json, or a `.keras`, `.h5` or `.onnx` file"), "{error}");
    assert!(Model::load(place("nothing.keras")).unwrap_err().to_string().contains("cannot read"));
}

#[test]
fn a_failed_write_leaves_the_file_that_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.keras");
    let model = loaded(folder.path(), "shared", "keras");
    model.save(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    let mut broken = loaded(folder.path(), "shared", "keras");
    broken.add(kiln::layers::Dropout::new(2.0));
    assert!(broken.save(&path).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(model.save(folder.path().join("no/such/folder/m.keras")).is_err());
    let names =
        || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names().len(), 2, "{:?}: no leftovers", names());
}

/// Every damaged copy is an error or the same model, and takes little memory.
#[test]
fn truncated_and_foreign_archives_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = unpacked(folder.path(), "chain.keras");
    let whole = std::fs::read(&path).unwrap();
    for cut in [4, 30, 60, whole.len() / 3, whole.len() - 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let error = Model::load(&path).unwrap_err().to_string();
        assert!(error.contains("chain.keras: expected a `.keras` file, found a damaged archive"), "{cut}: {error}");
    }
    // A changed byte of a weight does not pass the archive's checksum.
    let mut changed = whole.clone();
    let middle = whole.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&path, changed).unwrap();
    assert!(Model::load(&path).unwrap_err().to_string().contains("chain.keras"));
}

/// An archive of these members, deflated.
fn archive(path: &Path, members: &[(&str, &[u8])]) {
    use std::io::Write;
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).unwrap());
    for (name, bytes) in members {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap();
}

#[test]
fn archives_with_other_members_or_far_too_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.keras");
    archive(&path, &[("data.pkl", b"x"), ("version", b"3")]);
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("expected a `.keras` file with a member config.json, found data.pkl, version"), "{error}");
    archive(&path, &[]);
    assert!(Model::load(&path).unwrap_err().to_string().ends_with("member config.json, found none"));

    let model = loaded(folder.path(), "shared", "keras");
    let json = model.to_json().unwrap();
    archive(&path, &[("config.json", json.as_bytes())]);
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.ends_with("expected a `.keras` file with a member model.weights.h5, found config.json"), "{error}");
    let bomb = vec![0; 80 << 20];
    archive(&path, &[("config.json", json.as_bytes()), ("model.weights.h5", &bomb)]);
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20, "a small file");
    let error = Model::load(&path).unwrap_err().to_string();
    assert!(error.contains("model.weights.h5: expected at most 671") && error.ends_with("found 83886080"), "{error}");
    archive(&path, &[("config.json", b"{"), ("model.weights.h5", b"")]);
    assert!(Model::load(&path).unwrap_err().to_string().contains("m.keras: config.json: EOF"));
}

#[test]
fn weights_of_another_model_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = loaded(folder.path(), "shared", "keras");
    let before = model.get_weights().unwrap();
    let error = model.load_weights(unpacked(folder.path(), "nested.weights.h5")).unwrap_err().to_string();
    for line in ["last/kernel [2, 2] is missing", "twice/conv/0 [3, 3, 2, 3] is not in the model"] {
        assert!(error.contains(line), "{error}");
    }
    assert_eq!(model.get_weights().unwrap(), before);
}
