//! Callbacks of resumed trainings decide as in uninterrupted ones.

use std::ops::ControlFlow;
use std::path::Path;

use kiln::callbacks::{
    CSVLogger, CallbackState, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau, TensorBoard,
    UpdateFreq,
};
use kiln::{Callback, EpochLogs, Error, Fit, History, Model};

use crate::callbacks::{compiled_with_rate, fit_with};
use crate::common::{bars, bits, compiled, files};

/// The checkpoint of an epoch in a folder.
fn of_epoch(folder: &Path, epoch: usize) -> std::path::PathBuf {
    folder.join(epoch.to_string()).join("checkpoint.safetensors")
}

/// Trains with callbacks, and keeps the checkpoint of each epoch in a folder.
fn whole(model: &mut Model, epochs: usize, folder: &Path, callbacks: Vec<&mut dyn Callback>) -> History {
    let mut every = ModelCheckpoint::new(format!("{}/{{epoch}}", folder.display()));
    // Checkpoints include all callbacks, also those after the one that saves.
    let mut all: Vec<&mut dyn Callback> = vec![&mut every];
    all.extend(callbacks.into_iter().map(|callback| callback as &mut dyn Callback));
    fit_with(model, epochs, all).unwrap()
}

/// Resumes from a checkpoint.
fn resume(model: &mut Model, epochs: usize, checkpoint: &Path, mut callbacks: Vec<&mut dyn Callback>) -> History {
    let initial_epoch = model.load_checkpoint(checkpoint).unwrap();
    let fit = Fit { epochs, initial_epoch, validation_split: 0.3, seed: 5, ..Fit::default() };
    model.fit_with_callbacks(&bars(70), fit, &mut callbacks).unwrap()
}

/// The bits of the figures of epochs from one on.
fn figures(history: &History, from: usize) -> Vec<[u64; 2]> {
    let some = history.epochs.iter().filter(|logs| logs.epoch > from);
    some.map(|logs| [logs.loss, logs.val_loss.unwrap()].map(f64::to_bits)).collect()
}

#[test]
fn early_stopping_goes_on_with_its_best_weights_from_every_epochs_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let stopping = || EarlyStopping { patience: 2, restore_best_weights: true, ..EarlyStopping::default() };
    // The learning rate is too large: the loss increases again.
    let (mut trained, mut first) = (compiled_with_rate(3.0), stopping());
    let history = whole(&mut trained, 40, folder.path(), vec![&mut first]);
    let stopped = first.stopped_epoch().unwrap();
    assert!(stopped < 40 && first.best_epoch().unwrap() + 2 == stopped);

    for epoch in 1..=stopped {
        let (mut resumed, mut second) = (compiled_with_rate(3.0), stopping());
        resumed.initialize(99).unwrap();
        let rest = resume(&mut resumed, 40, &of_epoch(folder.path(), epoch), vec![&mut second]);
        assert!(rest.stopped, "from {epoch}");
        assert_eq!(figures(&rest, 0), figures(&history, epoch), "from {epoch}");
        assert_eq!(bits(&resumed.get_weights().unwrap()), bits(&trained.get_weights().unwrap()), "from {epoch}");
        assert_eq!((second.best(), second.best_epoch()), (first.best(), first.best_epoch()));
        assert_eq!(second.stopped_epoch(), Some(stopped));
    }
}

#[test]
fn a_training_that_was_stopped_early_goes_on_with_more_patience() {
    let folder = tempfile::tempdir().unwrap();
    let stopping = |patience| EarlyStopping { patience, restore_best_weights: true, ..EarlyStopping::default() };
    let (mut trained, mut first, mut patient) = (compiled_with_rate(3.0), stopping(2), stopping(4));
    whole(&mut trained, 40, folder.path(), vec![&mut first]);
    let stopped = first.stopped_epoch().unwrap();
    let mut uninterrupted = compiled_with_rate(3.0);
    let history = fit_with(&mut uninterrupted, 40, vec![&mut patient]).unwrap();
    assert!(history.epochs.len() > stopped);

    let (mut resumed, mut second) = (compiled_with_rate(3.0), stopping(4));
    let rest = resume(&mut resumed, 40, &of_epoch(folder.path(), stopped), vec![&mut second]);
    assert_eq!(figures(&rest, 0), figures(&history, stopped));
    assert_eq!(bits(&resumed.get_weights().unwrap()), bits(&uninterrupted.get_weights().unwrap()));
}

#[test]
fn best_weights_that_a_checkpoint_lacks_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    whole(&mut compiled(), 1, folder.path(), vec![&mut EarlyStopping { patience: 2, ..EarlyStopping::default() }]);
    let mut stopping = EarlyStopping { patience: 2, restore_best_weights: true, ..EarlyStopping::default() };
    let mut resumed = compiled();
    let initial_epoch = resumed.load_checkpoint(of_epoch(folder.path(), 1)).unwrap();
    let fit = Fit { epochs: 2, initial_epoch, validation_split: 0.3, ..Fit::default() };
    let error = resumed.fit_with_callbacks(&bars(70), fit, &mut [&mut stopping]).unwrap_err().to_string();
    assert!(error.starts_with("the state of the callback `EarlyStopping val_loss`: expected the weights"), "{error}");
}

#[test]
fn the_learning_rate_is_reduced_in_the_epochs_of_a_training_that_was_not_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let reduce = || ReduceLROnPlateau { factor: 0.5, patience: 2, cooldown: 1, ..ReduceLROnPlateau::default() };
    let mut trained = compiled_with_rate(3.0);
    let history = whole(&mut trained, 9, folder.path(), vec![&mut reduce()]);
    let rate = trained.learning_rate().unwrap();
    assert!(rate < 1.0, "reduced more than once: {rate}");
    for epoch in 1..9 {
        let mut resumed = compiled_with_rate(3.0);
        let rest = resume(&mut resumed, 9, &of_epoch(folder.path(), epoch), vec![&mut reduce()]);
        assert_eq!(figures(&rest, 0), figures(&history, epoch), "from {epoch}");
        assert_eq!(resumed.learning_rate().unwrap(), rate);
        assert_eq!(bits(&resumed.get_weights().unwrap()), bits(&trained.get_weights().unwrap()));
    }
}

#[test]
fn a_scheduler_is_called_with_the_learning_rate_of_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let mut scheduler = LearningRateScheduler::new(|_, rate| rate * 0.7);
    let mut trained = compiled_with_rate(0.3);
    whole(&mut trained, 5, folder.path(), vec![&mut scheduler]);
    let mut resumed = compiled_with_rate(0.3);
    resume(&mut resumed, 5, &of_epoch(folder.path(), 2), vec![&mut scheduler]);
    assert_eq!(resumed.learning_rate().unwrap().to_bits(), trained.learning_rate().unwrap().to_bits());
    assert_eq!(bits(&resumed.get_weights().unwrap()), bits(&trained.get_weights().unwrap()));
}

#[test]
fn only_models_better_than_those_before_the_checkpoint_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    let best = |name: &str| ModelCheckpoint {
        save_best_only: true,
        save_weights_only: true,
        ..ModelCheckpoint::new(format!("{}/{name}/{{epoch:02d}}.safetensors", folder.path().display()))
    };
    let mut at_once = best("at once");
    let mut trained = compiled_with_rate(3.0);
    whole(&mut trained, 9, folder.path(), vec![&mut at_once]);
    let all = files(&folder.path().join("at once"));
    assert!(all.len() < 9 && all.contains(&"01.safetensors".to_owned()), "{all:?}");

    for epoch in 1..9 {
        let name = format!("from {epoch}");
        let mut second = best(&name);
        let mut resumed = compiled_with_rate(3.0);
        // As in the uninterrupted training, the callback that saves every epoch comes first.
        let mut every = ModelCheckpoint::new(format!("{}/again", folder.path().display()));
        resume(&mut resumed, 9, &of_epoch(folder.path(), epoch), vec![&mut every, &mut second]);
        let later = all.iter().filter(|file| **file > format!("{epoch:02}.safetensors"));
        let into = folder.path().join(name);
        let saved = if into.is_dir() { files(&into) } else { Vec::new() };
        assert_eq!(saved, later.cloned().collect::<Vec<_>>());
        assert_eq!(second.best(), at_once.best());
        for file in saved {
            let read = |folder: &Path| std::fs::read(folder.join(&file)).unwrap();
            assert_eq!(read(&into), read(&folder.path().join("at once")), "{file}");
        }
    }
}

#[test]
fn a_csv_file_goes_on_behind_the_lines_of_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    whole(&mut compiled(), 5, folder.path(), vec![&mut CSVLogger::new(path("whole.csv"))]);
    // Killed in the fifth epoch, after the fourth line and part of the fifth; the checkpoint is of the third.
    let text = std::fs::read_to_string(path("whole.csv")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(path("part.csv"), lines[..5].concat() + &lines[5][..4]).unwrap();
    resume(&mut compiled(), 5, &of_epoch(folder.path(), 3), vec![&mut CSVLogger::new(path("part.csv"))]);
    assert_eq!(std::fs::read_to_string(path("part.csv")).unwrap(), text);
}

/// The steps of an event file's records with a tag: `Event.step` is the second field, a varint.
fn steps(folder: &Path, tag: &str) -> Vec<u64> {
    let mut steps = Vec::new();
    for name in files(folder) {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let data = &rest[12..12 + length];
            if String::from_utf8_lossy(data).contains(tag) {
                assert_eq!(data[9], 0x10);
                let groups = data[10..].iter().take_while(|&&byte| byte & 0x80 != 0).count() + 1;
                let value = |(i, &byte): (usize, &u8)| u64::from(byte & 0x7f) << (7 * i);
                steps.push(data[10..10 + groups].iter().enumerate().map(value).sum());
            }
            rest = &rest[12 + length + 4..];
        }
    }
    steps
}

#[test]
fn tensor_board_counts_batches_over_all_parts_of_a_training() {
    let folder = tempfile::tempdir().unwrap();
    let board = |name: &str| {
        let update_freq = UpdateFreq::Batches(1);
        TensorBoard { update_freq, ..TensorBoard::new(folder.path().join(name)) }
    };
    // Two batches per epoch.
    whole(&mut compiled(), 3, folder.path(), vec![&mut board("whole")]);
    assert_eq!(steps(&folder.path().join("whole/train"), "batch_loss"), [1, 2, 3, 4, 5, 6]);
    resume(&mut compiled(), 3, &of_epoch(folder.path(), 1), vec![&mut board("part")]);
    assert_eq!(steps(&folder.path().join("part/train"), "batch_loss"), [3, 4, 5, 6]);
    assert_eq!(steps(&folder.path().join("part/train"), "epoch_loss"), [1, 2]);
}

/// A custom callback that keeps the sum of all losses and the weights of the first epoch.
#[derive(Default)]
struct Own {
    losses: f64,
    first: Vec<kiln::Weight>,
    begun: bool,
}

impl Callback for Own {
    fn on_train_begin(&mut self, _: &mut Model) -> kiln::Result<()> {
        *self = Own { begun: true, ..Own::default() };
        Ok(())
    }

    fn on_epoch_end(&mut self, model: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.losses += logs.loss;
        if self.first.is_empty() {
            self.first = model.get_weights()?;
        }
        Ok(ControlFlow::Continue(()))
    }

    fn state(&self) -> kiln::Result<Option<CallbackState>> {
        let state = CallbackState::new("Own", &self.losses)?;
        Ok(Some(state.with_tensors(self.first.clone().into())))
    }

    fn restore(&mut self, state: &CallbackState) -> kiln::Result<()> {
        assert!(self.begun, "a state comes after the beginning, in which callbacks forget");
        (self.losses, self.first) = (state.values()?, state.tensors().to_vec());
        Ok(())
    }
}

#[test]
fn a_users_own_callbacks_keep_values_and_tensors_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (Own::default(), Own::default());
    whole(&mut compiled(), 4, folder.path(), vec![&mut one]);
    resume(&mut compiled(), 4, &of_epoch(folder.path(), 2), vec![&mut two]);
    assert_eq!(two.losses.to_bits(), one.losses.to_bits());
    assert_eq!(bits(&two.first), bits(&one.first));
}

#[test]
fn a_training_that_no_checkpoint_was_loaded_for_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (mut model, mut own) = (compiled(), Own::default());
    whole(&mut model, 2, folder.path(), vec![&mut own]);
    let again = fit_with(&mut model, 1, vec![&mut own]).unwrap();
    assert_eq!(own.losses, again.epochs[0].loss);

    model.load_checkpoint(of_epoch(folder.path(), 2)).unwrap();
    let from_the_first = fit_with(&mut model, 1, vec![&mut own]).unwrap();
    assert_eq!(own.losses, from_the_first.epochs[0].loss);
    let then = Fit { epochs: 3, initial_epoch: 2, ..Fit::default() };
    let then = model.fit_with_callbacks(&bars(70), then, &mut [&mut own]).unwrap();
    assert_eq!(own.losses, then.epochs[0].loss, "the states were for the training right after the checkpoint");
}

#[test]
fn a_learning_rate_that_the_model_is_compiled_with_now_takes_effect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut first = compiled_with_rate(0.1);
    fit_with(&mut first, 1, vec![]).unwrap();
    first.set_learning_rate(0.05).unwrap();
    first.save_checkpoint(&path).unwrap();

    let resumed_with = |rate: f64| {
        let mut model = compiled_with_rate(rate);
        assert_eq!(model.load_checkpoint(&path).unwrap(), 1);
        model
    };
    assert_eq!(resumed_with(0.1).learning_rate().unwrap(), 0.05);
    let mut other = resumed_with(0.3);
    assert_eq!(other.learning_rate().unwrap(), 0.3);

    first.set_learning_rate(0.3).unwrap();
    for model in [&mut first, &mut other] {
        let fit = Fit { epochs: 2, initial_epoch: 1, ..Fit::default() };
        model.fit(&bars(70), fit).unwrap();
    }
    assert_eq!(bits(&other.get_weights().unwrap()), bits(&first.get_weights().unwrap()));
}

#[test]
fn a_checkpoint_before_all_callbacks_have_seen_the_epoch_is_refused() {
    struct TooEarly(std::path::PathBuf);
    impl Callback for TooEarly {
        fn on_epoch_end(&mut self, model: &mut Model, _: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
            model.save_checkpoint(&self.0)?;
            Ok(ControlFlow::Continue(()))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.safetensors");
    let mut model = compiled();
    let error = fit_with(&mut model, 1, vec![&mut TooEarly(path.clone())]).unwrap_err();
    assert!(matches!(error, Error::CheckpointTooEarly) && error.to_string().contains("on_checkpoint"), "{error}");
    assert!(!path.exists());
    model.save_checkpoint(&path).unwrap();
}

#[test]
fn an_epoch_that_was_stopped_leaves_no_checkpoint() {
    struct Stop;
    impl Callback for Stop {
        fn on_batch_end(&mut self, _: &kiln::BatchLogs) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    let folder = tempfile::tempdir().unwrap();
    whole(&mut compiled(), 2, folder.path(), vec![&mut Stop]);
    assert!(files(folder.path()).is_empty());
}

/// A pseudo-random number, the next of Marsaglia's xorshift64.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_damaged_checkpoint_is_an_error_that_names_it_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let stopping = || EarlyStopping { patience: 2, restore_best_weights: true, ..EarlyStopping::default() };
    let mut model = compiled();
    whole(&mut model, 2, folder.path(), vec![&mut stopping(), &mut CSVLogger::new(folder.path().join("log.csv"))]);
    let whole = std::fs::read(of_epoch(folder.path(), 2)).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let path = folder.path().join("damaged.safetensors");
    let (mut random, mut errors) = (0x2545_f491_4f6c_dd1d, 0);
    for round in 0..600 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => bytes.truncate(next(&mut random) as usize % whole.len()),
            1 => bytes[next(&mut random) as usize % header] ^= 1 << (next(&mut random) % 8),
            _ => {
                let from = next(&mut random) as usize % header;
                let to = next(&mut random) as usize % header;
                bytes.swap(from, to);
                bytes[next(&mut random) as usize % header] = b"0\"}{[],:"[next(&mut random) as usize % 8];
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let before = bits(&model.get_weights().unwrap());
        if let Err(error) = model.load_checkpoint(&path) {
            errors += 1;
            assert!(error.to_string().contains("damaged.safetensors"), "{error}");
            assert_eq!(bits(&model.get_weights().unwrap()), before);
        } else {
            // It is still a valid state: a training with it succeeds or fails with an error.
            let fit = Fit { epochs: 3, initial_epoch: 2, validation_split: 0.3, ..Fit::default() };
            let _ = model.fit_with_callbacks(&bars(70), fit, &mut [&mut stopping()]);
            model = compiled();
        }
    }
    assert!(errors > 400, "{errors}");
}
