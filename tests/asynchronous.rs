//! The asynchronous methods of a model, on an executor that knows nothing of Kiln.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::{FutureExt, join, join_all};
use futures::{StreamExt, TryStreamExt};
use kiln::data::{DataError, Dataset, Labels, Source};
use kiln::graph::Shape;
use kiln::{Compile, Device, Error, Fit, Report, Submitted, TrainingOptions};

use crate::common::{bars, bits, compiled, device, model};

fn options(seed: u64) -> TrainingOptions<'static> {
    TrainingOptions { batch_size: 16, seed, ..TrainingOptions::default() }
}

#[test]
fn futures_can_move_between_threads() {
    fn send<T: Send>(future: T) -> T {
        future
    }
    let (mut model, data) = (compiled(), bars(20));
    let predictions = pollster::block_on(send(model.predict_async(&data))).unwrap();
    pollster::block_on(send(model.evaluate_async(&data))).unwrap();
    pollster::block_on(send(model.train_on_batch_async(&data))).unwrap();
    pollster::block_on(send(model.gradients_async(&data))).unwrap();
    pollster::block_on(send(model.get_weights_async())).unwrap();
    pollster::block_on(send(model.compile_async(device(), Compile::default()))).unwrap();
    let training = send(model.training(&data, options(0)).unwrap().epochs(1..=1));
    assert_eq!(pollster::block_on(training.count()), 3, "two steps and an epoch");
    assert_eq!(predictions.rows().count(), 20);
}

#[test]
fn a_stream_of_reports_trains_as_fit() {
    let data = bars(40);
    let (mut streamed, mut fitted) = (compiled(), compiled());

    let reports = streamed.training(&data, options(5)).unwrap().epochs(1..=3);
    let reports: Vec<Report> = pollster::block_on(reports.try_collect()).unwrap();
    let fit = Fit { epochs: 3, batch_size: 16, seed: 5, ..Fit::default() };
    let history = pollster::block_on(fitted.fit_async(&data, fit, &mut [])).unwrap();

    let mut reports = reports.into_iter();
    for epoch in &history.epochs {
        for (step, loss) in (1..).zip(&epoch.batch_losses) {
            match reports.next() {
                Some(Report::Step(report)) => {
                    assert_eq!((report.epoch, report.step, report.loss), (epoch.epoch, step, *loss))
                }
                other => panic!("expected step {step}, found {other:?}"),
            }
        }
        match reports.next() {
            Some(Report::Epoch(report)) => assert_eq!((report.epoch, report.score.loss), (epoch.epoch, epoch.loss)),
            other => panic!("expected an epoch, found {other:?}"),
        }
    }
    assert_eq!(reports.next(), None);
    assert_eq!(bits(&streamed.get_weights().unwrap()), bits(&fitted.get_weights().unwrap()));
}

#[test]
fn a_training_can_be_changed_between_two_reports() {
    let data = bars(40);
    let mut model = compiled();
    let mut reports = model.training(&data, options(5)).unwrap().epochs(1..=9);

    let epochs = pollster::block_on(async {
        let mut epochs = Vec::new();
        while let Some(report) = reports.try_next().await? {
            match report {
                // The steps in flight are reported, and no others.
                Report::Step(step) if step.epoch == 2 => reports.training().stop(),
                Report::Step(_) => {}
                Report::Epoch(epoch) if epoch.epoch == 3 => break,
                Report::Epoch(epoch) => {
                    epochs.push(epoch.epoch);
                    reports.training().model().set_learning_rate(0.5)?;
                }
            }
        }
        Ok::<_, Error>(epochs)
    });

    assert_eq!(epochs.unwrap(), [1, 2]);
    assert_eq!(reports.training().model().learning_rate().unwrap(), 0.5);
}

#[test]
fn an_error_ends_the_stream() {
    let data = bars(40);
    let mut model = compiled();
    let mut reports = model.training(&data, options(5)).unwrap().epochs(1..=9);

    let first = pollster::block_on(reports.next());
    // A step on other data: the epoch cannot go on.
    reports.training().model().train_on_batch(&bars(8)).unwrap();
    let rest: Vec<_> = pollster::block_on(reports.collect());

    assert!(matches!(first, Some(Ok(Report::Step(_)))));
    assert!(matches!(rest.last(), Some(Err(Error::Argument { name: "training", .. }))), "{rest:?}");
    assert!(rest[..rest.len() - 1].iter().all(Result::is_ok));
}

#[test]
fn predictions_and_readings_of_one_model_are_awaited_together() {
    let (model, data) = (compiled(), bars(300));
    let whole = model.predict(&data).unwrap();
    let parts: Vec<Dataset> =
        (0..6).map(|part| data.take(&(part * 50..part * 50 + 50).collect::<Vec<u32>>()).unwrap()).collect();

    let (predictions, weights) = pollster::block_on(async {
        join(join_all(parts.iter().map(|part| model.predict_async(part))), model.get_weights_async()).await
    });

    let values = predictions.into_iter().flat_map(|predictions| predictions.unwrap().values);
    assert_eq!(values.collect::<Vec<f32>>(), whole.values);
    assert_eq!(bits(&weights.unwrap()), bits(&model.get_weights().unwrap()));
}

#[test]
fn what_asks_a_model_between_two_polls_of_a_prediction_does_not_wait_for_it() {
    let (model, data) = (compiled(), bars(300));
    let mut predicting = Box::pin(model.predict_async(&data));
    let mut finished = None;
    while finished.is_none() {
        if let Poll::Ready(predictions) = predicting.poll_unpin(&mut Context::from_waker(Waker::noop())) {
            finished = Some(predictions.unwrap());
        }
        assert!(model.learning_rate().unwrap() > 0.0 && model.device_bytes() > 0);
        std::thread::yield_now();
    }
    assert_eq!(finished, Some(model.predict(&data).unwrap()));
}

#[test]
fn a_prediction_that_is_dropped_leaves_a_model_that_predicts() {
    let (model, data) = (compiled(), bars(300));
    let mut dropped = Box::pin(model.predict_async(&data));
    let _ = dropped.poll_unpin(&mut Context::from_waker(Waker::noop()));
    drop(dropped);

    let mut fresh = crate::common::model();
    fresh.to_device(device()).unwrap();
    fresh.set_weights(&model.get_weights().unwrap()).unwrap();
    assert_eq!(model.predict(&data).unwrap(), fresh.predict(&data).unwrap());
}

#[test]
fn a_device_is_requested_by_name_without_blocking() {
    let all = pollster::block_on(Device::all_async());
    assert_eq!(all, Device::all());
    let processor = pollster::block_on(Device::request("cpu")).unwrap();
    assert_eq!(processor.info().kind, kiln::graph::DeviceKind::Cpu);
    assert!(pollster::block_on(Device::request("no such device")).is_err());
}

/// Samples that are there when they are let through.
#[derive(Debug)]
struct Gate(Mutex<Receiver<()>>);

impl Source for Gate {
    type Value = f32;

    fn len(&self) -> usize {
        32
    }

    fn sample_shape(&self) -> Shape {
        [6, 6, 1].into()
    }

    fn read(&self, index: usize, place: &mut [f32]) -> Result<(), DataError> {
        // A sender that is gone lets all through.
        let _ = self.0.lock().unwrap().recv();
        place.fill(index as f32 / 32.0);
        Ok(())
    }
}

/// Sends when it is woken.
struct Bell(Mutex<Sender<()>>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().unwrap().send(());
    }
}

#[test]
fn a_training_does_not_wait_for_data_that_are_not_there() {
    let (gate, closed) = channel();
    let labels = Labels::index((0..32).map(|i| i % 3).collect(), 3);
    let data = Dataset::streamed(Gate(Mutex::new(closed)), labels).unwrap().in_chunks(16);
    let mut model = model();
    model.compile(device(), Compile::default()).unwrap();
    let mut training = model.training(&data, options(1)).unwrap();
    training.begin_epoch(1).unwrap();

    assert_eq!(training.submit(1).unwrap(), Submitted::Preparing);
    let (bell, rung) = channel();
    let waker = Waker::from(Arc::new(Bell(Mutex::new(bell))));
    let mut next = Box::pin(training.next_report_async());
    assert!(next.poll_unpin(&mut Context::from_waker(&waker)).is_pending());
    drop(gate);
    rung.recv().unwrap();
    drop(next);

    let mut steps = 0;
    while let Some(report) = pollster::block_on(training.next_report_async()).unwrap() {
        steps += 1;
        assert_eq!(report.step, steps);
    }
    assert_eq!(steps, 2);
}

#[test]
fn a_prediction_that_nobody_polls_holds_up_no_other() {
    let (model, data) = (compiled(), bars(300));
    let mut idle = Box::pin(model.predict_async(&data));
    let first = idle.poll_unpin(&mut Context::from_waker(Waker::noop()));

    let other = model.predict(&bars(7)).unwrap();

    let idle = match first {
        Poll::Ready(done) => done,
        Poll::Pending => pollster::block_on(idle),
    };
    assert_eq!(idle.unwrap(), model.predict(&data).unwrap());
    assert_eq!(other, model.predict(&bars(7)).unwrap());
}

#[test]
fn predictions_of_several_types_at_once_are_those_of_each_alone() {
    let (model, bytes) = (compiled(), bars(300));
    let floats = Dataset::from_f32([6, 6, 1], (0..300 * 36).map(|i| (i % 7) as f32 / 7.0).collect(), None).unwrap();
    let alone = [&bytes, &floats].map(|data| model.predict(data).unwrap());

    let together = pollster::block_on(join(model.predict_async(&bytes), model.predict_async(&floats)));

    assert_eq!([together.0.unwrap(), together.1.unwrap()], alone);
}

#[test]
fn a_model_compiled_anew_within_an_epoch_ends_it() {
    let data = bars(40);
    let mut model = compiled();
    let mut training = model.training(&data, options(5)).unwrap();
    training.begin_epoch(1).unwrap();
    training.next_report().unwrap();

    training.model().compile(device(), Compile::default()).unwrap();
    training.model().train_on_batch(&bars(8)).unwrap();

    let errors = [training.submit(1).map(drop), training.poll().map(drop), training.wait().map(drop)];
    for error in errors.map(Result::unwrap_err) {
        assert!(error.to_string().contains("call `begin_epoch`"), "{error}");
    }
    training.begin_epoch(2).unwrap();
    while training.next_report().unwrap().is_some() {}
}
