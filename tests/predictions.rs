//! Predictions: resources of repeated calls, several threads, data without labels, views of data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiln::data::{Dataset, Labels, Shared, Values};
use kiln::graph::{self, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, DeviceKind, Plan, Program};
use kiln::{Compile, Device, Fit, Model};
use kiln_cpu::CpuDevice;

use crate::common::{bars, bits, compiled, device, gpu, model};

/// A device that counts its buffers and programs.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn graph::Device>,
    made: AtomicUsize,
}

impl Counted {
    fn new() -> Arc<Counted> {
        let inner: Arc<dyn graph::Device> = match device().info().kind {
            DeviceKind::Cpu => Arc::new(CpuDevice::new(kiln_cpu::Options::default()).unwrap()),
            _ => Arc::new(gpu()),
        };
        Arc::new(Counted { inner, made: AtomicUsize::new(0) })
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

impl graph::Device for Counted {
    fn info(&self) -> &DeviceInfo {
        self.inner.info()
    }

    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.inner.allocate(label, bytes)
    }

    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>> {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.inner.program_async(plan, buffers)
    }
}

/// One sample of floats, different for each number.
fn sample(number: usize) -> Vec<f32> {
    (0..36).map(|i| ((i * 7 + number * 13) % 60) as f32 / 60.0).collect()
}

fn on(device: &Arc<Counted>) -> Model {
    let mut model = model();
    model.compile(&Device::from_dyn(device.clone()), Compile::default()).unwrap();
    model
}

#[test]
fn predictions_after_the_first_make_neither_buffers_nor_programs() {
    let counted = Counted::new();
    let model = on(&counted);
    let fresh = compiled();
    let batch = |first: usize, count: usize| (first..first + count).flat_map(sample).collect::<Vec<f32>>();
    for count in [3, 1] {
        model.predict_values(batch(0, count)).unwrap();
    }
    let before = counted.made();
    for first in 1..6 {
        for count in [1, 3] {
            let found = model.predict_values(batch(first, count)).unwrap();
            assert_eq!(found, fresh.predict_values(batch(first, count)).unwrap());
        }
    }
    assert_eq!(counted.made(), before);
    // Bytes need another program.
    model.predict(&bars(3)).unwrap();
    assert!(counted.made() > before);
}

#[test]
fn a_gpu_makes_no_buffer_of_its_own_for_a_repeated_prediction() {
    let gpu = gpu();
    let mut model = model();
    model.to_device(&Device::from_dyn(Arc::new(gpu.clone()))).unwrap();
    model.predict_values(sample(0)).unwrap();
    let before = gpu.allocations();
    (1..20).for_each(|number| drop(model.predict_values(sample(number)).unwrap()));
    assert_eq!(gpu.allocations(), before);
}

#[test]
fn predictions_between_epochs_leave_the_data_of_fit_and_evaluate_on_the_device() {
    let counted = Counted::new();
    let mut model = on(&counted);
    let (data, other) = (bars(30), bars(20));
    let mut round = |count| {
        model.fit(&data, Fit { batch_size: 10, validation_split: 0.3, ..Fit::default() }).unwrap();
        model.evaluate(&other).unwrap();
        model.predict(&bars(count)).unwrap();
    };
    // The smaller data set reuses the buffers of the larger one.
    (0..2).for_each(|_| round(4));
    let before = counted.made();
    round(4);
    assert_eq!(counted.made(), before, "a split makes the same views again");
}

#[test]
fn new_data_of_the_same_type_trains_as_on_a_fresh_device() {
    let (first, second) = (bars(30), bars(24).take(&Vec::from_iter((0..24).rev())).unwrap());
    let counted = Counted::new();
    let mut reused = on(&counted);
    reused.fit(&first, Fit { batch_size: 6, ..Fit::default() }).unwrap();
    let before = counted.made();
    let weights = reused.get_weights().unwrap();
    reused.fit(&second, Fit { batch_size: 6, initial_epoch: 0, ..Fit::default() }).unwrap();
    assert_eq!(counted.made(), before);

    let mut fresh = compiled();
    fresh.fit(&first, Fit { batch_size: 6, ..Fit::default() }).unwrap();
    assert_eq!(bits(&fresh.get_weights().unwrap()), bits(&weights));
    let (Values::U8(values), Some(labels)) = (second.values().unwrap(), second.labels()) else { panic!("bytes") };
    let copy = Dataset::from_u8([6, 6, 1], values.to_vec(), labels.clone()).unwrap();
    fresh.fit(&copy, Fit { batch_size: 6, ..Fit::default() }).unwrap();
    assert_eq!(bits(&reused.get_weights().unwrap()), bits(&fresh.get_weights().unwrap()));
}

#[test]
fn growing_data_sets_are_predicted_as_alone() {
    let model = compiled();
    for count in [1, 2, 7, 130, 300, 5] {
        assert_eq!(model.predict(&bars(count)).unwrap(), compiled().predict(&bars(count)).unwrap(), "{count} samples");
    }
}

#[test]
fn a_sample_is_predicted_alone_as_in_a_batch() {
    let mut model = kiln::models::lenet([28, 28, 1], 10);
    model.to_device(device()).unwrap();
    let values: Vec<f32> = (0..13 * 784).map(|i| (i * 31 % 251) as f32 / 251.0).collect();
    let together = model.predict_values(values.clone()).unwrap();
    for (sample, expected) in values.chunks(784).zip(together.rows()) {
        assert_eq!(model.predict_values(sample.to_vec()).unwrap().values, expected);
    }
}

#[test]
fn a_view_is_predicted_as_its_copy() {
    let (model, all) = (compiled(), bars(200));
    let view = all.range(20..180).take(&Vec::from_iter((0..160).map(|i| i * 7 % 160))).unwrap().range(3..150);
    let copy = view.in_memory().unwrap();
    assert_eq!(model.predict(&view).unwrap(), model.predict(&copy).unwrap());
    assert_eq!(model.predict(&view.in_chunks(13)).unwrap(), model.predict(&copy).unwrap());
}

#[test]
fn a_split_shares_its_samples() {
    let all = bars(50);
    let (first, last) = all.split(0.2);
    let address = |data: &Dataset| match data.values().unwrap() {
        Values::U8(values) => values.as_ptr() as usize,
        Values::F32(_) => panic!("bytes"),
    };
    assert_eq!((address(&first), address(&last)), (address(&all), address(&all) + 40 * 36));
    let Some(Labels::Index { values, .. }) = last.labels() else { panic!("indices") };
    let Some(Labels::Index { values: of_all, .. }) = all.labels() else { panic!("indices") };
    assert_eq!(values.as_ptr(), of_all[40..].as_ptr());
}

#[test]
fn data_without_labels_are_for_predictions() {
    let mut model = compiled();
    let unlabelled = bars(9).with_labels(None).unwrap();
    assert_eq!((unlabelled.classes(), unlabelled.labels()), (0, None));
    assert_eq!(model.predict(&unlabelled).unwrap(), model.predict(&bars(9)).unwrap());
    let errors = [
        model.evaluate(&unlabelled).unwrap_err().to_string(),
        model.fit(&unlabelled, Fit::default()).unwrap_err().to_string(),
        model.fit(&bars(9), Fit { validation_data: Some(&unlabelled), ..Fit::default() }).unwrap_err().to_string(),
    ];
    for error in errors {
        assert_eq!(error, "model `bars` expects a label for each sample, the data set has no labels");
    }
    let weighted = Fit { class_weight: Some([(0, 2.0)].into()), ..Fit::default() };
    assert!(model.fit(&unlabelled, weighted).unwrap_err().to_string().contains("labels"));
}

#[test]
fn several_threads_predict_with_one_model() {
    fn shared<T: Send + Sync>(_: &T) {}
    let model = compiled();
    shared(&model);
    shared(&bars(1));
    shared(&Shared::from(vec![0.0]));
    let alone: Vec<_> = (0..8).map(|number| model.predict_values(sample(number)).unwrap()).collect();
    let together: Vec<_> = std::thread::scope(|scope| {
        let model = &model;
        let often = move |number| (0..10).map(|_| model.predict_values(sample(number)).unwrap()).last().unwrap();
        let threads: Vec<_> = (0..8).map(|number| scope.spawn(move || often(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(together, alone);
}
