//! A model between trainings: on the device, in files, with one data set after another.

use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::graph::Limits;
use kiln::{Compile, Device, Fit, Model};

use crate::common::{bars, bits, close, compiled, device, gpu, model};
use kiln_bench::Recorder;

#[test]
fn a_loaded_model_predicts_the_same_bits() {
    let (data, folder) = (bars(131), tempfile::tempdir().unwrap());
    let mut trained = compiled();
    let history = trained.fit(&data, Fit::default()).unwrap();
    trained.save(folder.path()).unwrap();
    history.save(folder.path()).unwrap();

    let mut loaded = Model::load(folder.path()).unwrap();
    loaded.to_device(device()).unwrap();
    assert_eq!(bits(&loaded.get_weights().unwrap()), bits(&trained.get_weights().unwrap()));
    let bits = |model: &mut Model| -> Vec<u32> {
        model.predict(&data).unwrap().values.iter().map(|value| value.to_bits()).collect()
    };
    assert_eq!(bits(&mut loaded), bits(&mut trained));

    let mut files: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["history.csv", "history.json", "model.json", "weights.safetensors"]);
}

#[test]
fn predictions_are_probabilities_and_their_classes_are_what_evaluate_counts() {
    let data = bars(131);
    let mut model = compiled();
    model.fit(&data, Fit { epochs: 3, ..Fit::default() }).unwrap();
    let predictions = model.predict(&data).unwrap();
    assert_eq!(predictions.shape, [131, 3].into());
    assert!(predictions.rows().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-5));
    let classes = predictions.classes();
    let Some(Labels::Index { values, .. }) = data.labels() else { panic!() };
    let hits = classes.iter().zip(values.iter()).filter(|(found, label)| **found == **label as usize).count();
    assert!(close(model.evaluate(&data).unwrap().accuracy().unwrap(), hits as f64 / 131.0, 1e-6));
}

#[test]
fn predict_values_takes_samples_as_the_model_sees_them() {
    let model = compiled();
    let values: Vec<f32> = (0..72).map(|i| i as f32 / 72.0).collect();
    let found = model.predict_values(values.clone()).unwrap();
    let labels = Labels::index(vec![0, 0], 3);
    assert_eq!(found, model.predict(&Dataset::from_f32([6, 6, 1], values, labels).unwrap()).unwrap());
    assert!(model.predict_values(vec![0.0; 35]).is_err());
}

#[test]
fn data_sets_may_change_from_call_to_call() {
    let mut model = compiled();
    let whole = model.evaluate(&bars(60)).unwrap();
    let [first, last] = [bars(60).range(0..13), bars(60).range(13..60)];
    let (a, b) = (model.evaluate(&first).unwrap(), model.evaluate(&last).unwrap());
    assert!(close((13.0 * a.loss + 47.0 * b.loss) / 60.0, whole.loss, 1e-5), "{a:?} {b:?} {whole:?}");
    model.fit(&first, Fit::default()).unwrap();
    model.fit(&last, Fit { batch_size: 64, ..Fit::default() }).unwrap();
    assert!(model.evaluate(&first).unwrap().loss != a.loss);
}

#[test]
fn rescaled_data_are_other_data() {
    let mut model = compiled();
    let data = bars(30);
    let plain = model.evaluate(&data).unwrap();
    let other = model.evaluate(&data.clone().rescaled(1.0 / 127.5, -1.0)).unwrap();
    assert_ne!(plain.loss, other.loss);
    assert_eq!(model.evaluate(&data).unwrap(), plain);
}

#[test]
fn weights_stay_when_a_model_is_compiled_again_and_are_drawn_by_initialize() {
    let mut model = compiled();
    model.fit(&bars(30), Fit::default()).unwrap();
    let trained = bits(&model.get_weights().unwrap());
    model.compile(device(), Compile::default()).unwrap();
    assert_eq!(bits(&model.get_weights().unwrap()), trained);
    model.initialize(0).unwrap();
    assert_eq!(bits(&model.get_weights().unwrap()), bits(&crate::common::model().get_weights().unwrap()));
}

#[test]
fn a_prediction_computes_no_loss_and_an_evaluation_no_probabilities() {
    let (recorder, device) = Recorder::device(Limits::WEBGPU);
    let mut model = model();
    model.compile(&device, Compile::default()).unwrap();
    model.predict(&bars(3)).unwrap();
    model.evaluate(&bars(3)).unwrap();
    let plans = recorder.plans();
    let kernels = |plan: usize| plans[plan].calls.iter().map(|call| call.kernel.name).collect::<Vec<_>>();
    // ReLU is fused with the convolution, whose grey images are unfolded. Rows of 5 filters and 3 classes are padded.
    let convolution = ["unfold.forward", "pad.forward", "conv2d.shared_tiles"];
    let layers = [&["gather.bytes"], &convolution[..], &["max_pool2d.forward", "pad.forward"]].concat();
    let dense = ["matmul_single.nn"];
    assert_eq!(kernels(0), [&layers[..], &dense, &["softmax.forward"]].concat());
    // The labels are gathered in parallel with the last product.
    let metrics = ["softmax_cross_entropy.forward", "record.update"];
    assert_eq!(kernels(1), [&layers[..], &["gather.integers"], &dense, &metrics].concat());
}

#[test]
fn a_training_step_has_no_pass_over_memory_for_a_rectifier_or_its_gradient() {
    let (recorder, device) = Recorder::device(Limits::WEBGPU);
    let mut model = model();
    model.compile(&device, Compile::default()).unwrap();
    model.fit(&bars(3), Fit::default()).unwrap();
    let [plan] = &recorder.plans()[..] else { panic!("one kind of batch") };
    let named = |part: &str| plan.calls.iter().filter(|call| call.kernel.name.starts_with(part)).count();
    assert_eq!((named("conv2d."), named("max_pool2d.gradient"), named("activation")), (1, 1, 0), "{plan}");
}

#[test]
fn three_hundred_steps_allocate_nothing_after_the_first_few() {
    let gpu = gpu();
    let mut model = model();
    model.compile(&Device::from_dyn(Arc::new(gpu.clone())), Compile::default()).unwrap();
    let (data, validation) = (bars(70), bars(40));
    let fit = |epochs| Fit { epochs, batch_size: 2, validation_data: Some(&validation), ..Fit::default() };
    model.fit(&data, fit(5)).unwrap();
    let before = gpu.allocations();
    let history = model.fit(&data, fit(9)).unwrap();
    assert!(history.epochs.iter().map(|logs| logs.batch_losses.len()).sum::<usize>() >= 300);
    assert_eq!(gpu.allocations(), before);
}

#[test]
fn a_profile_times_every_call_of_a_training_step_and_trains() {
    let mut model = compiled();
    let (data, before) = (bars(30), bits(&model.get_weights().unwrap()));
    let profile = model.profile(&data, 7, 6).unwrap();
    let named = |kernel: &str| profile.calls.iter().filter(|call| call.kernel.starts_with(kernel)).count();
    // With any tile that the device chooses.
    let convolutions = named("conv2d.") + named("conv2d_few_channels.") + named("conv2d_subgroup.");
    assert_eq!((named("gather.bytes"), convolutions, named("adam")), (1, 1, 1), "{profile}");
    assert!(profile.seconds() > 0.0);
    assert_ne!(bits(&model.get_weights().unwrap()), before);
}

#[test]
fn a_profile_needs_whole_batches_and_a_device_with_a_clock() {
    let mut model = compiled();
    for batch_size in [0, 31] {
        let error = model.profile(&bars(30), batch_size, 1).unwrap_err().to_string();
        assert!(error.contains("batch_size: expected 1 to 30"), "{error}");
    }
    model.compile(&Recorder::device(Limits::WEBGPU).1, Compile::default()).unwrap();
    let error = model.profile(&bars(30), 30, 1).unwrap_err().to_string();
    assert!(error.contains("recorder") && error.contains("cannot time its calls"), "{error}");
}

#[test]
fn training_changes_every_layer_but_the_frozen_one() {
    let data = bars(70);
    for frozen in ["conv2d", "dense"] {
        let mut model = model();
        model.set_trainable(frozen, false).unwrap();
        model.compile(device(), Compile::default()).unwrap();
        let before = model.get_weights().unwrap();
        model.fit(&data, Fit { epochs: 2, ..Fit::default() }).unwrap();
        for (before, after) in before.iter().zip(model.get_weights().unwrap()) {
            let kept = bits(std::slice::from_ref(before)) == bits(std::slice::from_ref(&after));
            assert_eq!(kept, before.name.starts_with(frozen), "{frozen} frozen: {}", before.name);
        }
    }
    let error = model().set_trainable("conv3", false).unwrap_err().to_string();
    assert!(error.contains("expected the name of a layer (conv2d, max_pooling2d, flatten, dense), found `conv3`"));
}
