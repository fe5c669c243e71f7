//! Data sets with only chunks on the device: results are bit-identical to those of resident data sets.

use std::ops::ControlFlow;

use kiln::augmentation::Augmentation;
use kiln::data::{DataError, Dataset, Labels, Source, Values};
use kiln::graph::Shape;
use kiln::{BatchLogs, Callback, Compile, Fit, Model};

use crate::common::{bars, bits, compiled, device, model};

/// The samples of [`bars`], read one by one; one of them fails.
#[derive(Debug)]
struct Bars {
    values: Vec<u8>,
    unreadable: Option<usize>,
}

impl Source for Bars {
    type Value = u8;

    fn len(&self) -> usize {
        self.values.len() / 36
    }

    fn sample_shape(&self) -> Shape {
        [6, 6, 1].into()
    }

    fn read(&self, index: usize, place: &mut [u8]) -> Result<(), DataError> {
        if self.unreadable == Some(index) {
            let (expected, found) = ("an image".to_owned(), "an empty file".to_owned());
            return Err(DataError::Format { path: format!("{index}.png").into(), expected, found });
        }
        place.copy_from_slice(&self.values[index * 36..][..36]);
        Ok(())
    }
}

fn streamed(n: usize, unreadable: Option<usize>) -> Dataset {
    let Values::U8(values) = bars(n).values().unwrap() else { panic!() };
    let source = Bars { values: values.to_vec(), unreadable };
    Dataset::streamed(source, bars(n).labels().cloned()).unwrap()
}

/// Values as floats, labels one-hot.
fn floats(n: usize) -> Dataset {
    let (Values::U8(values), Some(Labels::Index { values: labels, .. })) =
        (bars(n).values().unwrap(), bars(n).labels().cloned())
    else {
        panic!()
    };
    let hot = labels.iter().flat_map(|&label| (0..3).map(move |class| if class == label { 1.0 } else { 0.0 }));
    let values = values.iter().map(|&value| f32::from(value) / 255.0).collect();
    Dataset::from_f32([6, 6, 1], values, Labels::one_hot(hot.collect(), 3)).unwrap()
}

/// The bits of the weights, of all losses and of the predictions of a training on a data set.
fn trained(data: &Dataset, augmentation: Option<&Augmentation>) -> Vec<u64> {
    let mut model = compiled();
    let fit = Fit { epochs: 3, batch_size: 3, validation_split: 0.3, augmentation, ..Fit::default() };
    let history = model.fit(data, fit).unwrap();
    let weights = bits(&model.get_weights().unwrap()).into_iter().map(u64::from);
    let losses = history.epochs.iter().flat_map(|logs| [&logs.batch_losses[..], &[logs.val_loss.unwrap()]].concat());
    let predictions = model.predict(data).unwrap().values;
    let predictions = predictions.iter().map(|value| u64::from(value.to_bits()));
    weights.chain(losses.map(f64::to_bits)).chain(predictions).collect()
}

#[test]
fn chunks_give_the_same_bits_as_all_at_once() {
    let whole = trained(&bars(71), None);
    for chunk in [3, 10, 49, 70] {
        assert!(trained(&bars(71).in_chunks(chunk), None) == whole, "bytes in memory, chunks of {chunk}");
        assert!(trained(&streamed(71, None).in_chunks(chunk), None) == whole, "a source, chunks of {chunk}");
    }
    assert!(trained(&streamed(71, None), None) == whole, "a source that fits the device");
    let whole = trained(&floats(71), None);
    assert!(trained(&floats(71).in_chunks(10), None) == whole, "floats and one value per class");
}

#[test]
fn chunks_keep_the_weights_of_their_samples() {
    let weighted = || bars(71).with_sample_weights((0..71).map(|sample| (sample % 5) as f32).collect()).unwrap();
    let whole = trained(&weighted(), None);
    assert!(trained(&weighted().in_chunks(10), None) == whole);
    assert!(whole != trained(&bars(71), None));
}

#[test]
fn chunks_are_augmented_as_all_at_once() {
    let augmentation = Augmentation { width_shift_range: 0.2.into(), horizontal_flip: true, ..Augmentation::default() };
    let whole = trained(&bars(71), Some(&augmentation));
    assert!(trained(&bars(71).in_chunks(10), Some(&augmentation)) == whole);
    assert!(whole != trained(&bars(71), None));
}

#[test]
fn an_evaluation_of_chunks_counts_every_sample_once() {
    let mut model = compiled();
    let whole = model.evaluate(&bars(301)).unwrap();
    assert_eq!(model.evaluate(&bars(301).in_chunks(130)).unwrap(), whole);
    // Batches are not larger than chunks, and sums over other batches round differently.
    let small = model.evaluate(&streamed(301, None).in_chunks(7)).unwrap();
    assert!((small.loss - whole.loss).abs() < 1e-6 && small.accuracy() == whole.accuracy(), "{small:?} {whole:?}");
}

#[test]
fn what_cannot_be_read_ends_fit_with_its_error() {
    let data = streamed(50, Some(41));
    let error = compiled().fit(&data.clone().in_chunks(6), Fit { batch_size: 3, ..Fit::default() }).unwrap_err();
    assert_eq!(error.to_string(), "41.png: expected an image, found an empty file");
    let error = compiled().predict(&data.clone().in_chunks(6)).unwrap_err();
    assert_eq!(error.to_string(), "41.png: expected an image, found an empty file");
    assert!(compiled().fit(&data, Fit::default()).is_err());
    compiled().fit(&data.head(41).in_chunks(6), Fit { batch_size: 3, ..Fit::default() }).unwrap();
}

#[test]
fn a_batch_that_is_larger_than_a_chunk_is_an_error() {
    let error = compiled().fit(&bars(50).in_chunks(6), Fit { batch_size: 7, ..Fit::default() }).unwrap_err();
    let expected = "batch_size: expected at most 6, the number of samples on the device at a time, found 7";
    assert_eq!(error.to_string(), expected);
}

/// Stops after the second batch.
struct Stop(usize);

impl Callback for Stop {
    fn on_batch_end(&mut self, _: &BatchLogs) -> ControlFlow<()> {
        self.0 += 1;
        if self.0 < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

#[test]
fn a_training_on_chunks_can_be_stopped_and_goes_on() {
    let mut model: Model = model();
    model.compile(device(), Compile { steps_per_execution: Some(1), ..Compile::default() }).unwrap();
    let data = streamed(299, None).in_chunks(4);
    let fit = Fit { epochs: 5, batch_size: 2, ..Fit::default() };
    let history = model.fit_with_callbacks(&data, fit, &mut [&mut Stop(0)]).unwrap();
    assert!(history.stopped && history.epochs[0].batch_losses.len() < 20);
    assert_eq!(model.fit(&data, Fit { batch_size: 2, ..Fit::default() }).unwrap().epochs[0].batch_losses.len(), 150);
}

#[test]
fn a_training_step_on_a_chunk_can_be_profiled() {
    let mut model = compiled();
    assert!(model.profile(&bars(50).in_chunks(6), 3, 4).unwrap().seconds() > 0.0);
}
