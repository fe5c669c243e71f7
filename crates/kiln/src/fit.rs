//! The training loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Instant;

use kiln_graph::block_on;

use crate::augmentation::Augmentation;
use crate::callbacks::{self, BatchLogs, Callback, tell};
use crate::data::Dataset;
use crate::evaluation::evaluate;
use crate::history::{EpochLogs, History};
use crate::model::Score;
use crate::network::Node;
use crate::training::{Training, TrainingOptions};
use crate::{Error, Model, Result};

/// The arguments of [`fit`](Model::fit). Callbacks are passed separately: see [`Model::fit_with_callbacks`].
#[derive(Clone, Debug)]
pub struct Fit<'a> {
    /// The number of the last epoch.
    pub epochs: usize,
    /// Samples per step. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// The fraction of the samples, from the end of the data set, used for validation instead of training.
    pub validation_split: f64,
    /// A data set for validation, instead of a fraction of the training data.
    pub validation_data: Option<&'a Dataset>,
    /// Whether to shuffle the samples in each epoch.
    pub shuffle: bool,
    /// The seed of shuffling and of random draws within a step.
    pub seed: u64,
    /// The augmentation of training images. Its standardization also applies to validation images.
    pub augmentation: Option<&'a Augmentation>,
    /// Weights of classes, 1 by default: the loss of a training sample is multiplied by the weight of its class.
    /// A class that does not occur in the labels is an error.
    pub class_weight: Option<BTreeMap<usize, f32>>,
    /// The number of epochs already trained, as in Keras. If it is the return value of [`Model::load_checkpoint`], the
    /// callbacks resume from their states in the checkpoint.
    pub initial_epoch: usize,
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Fit {
            epochs: 1,
            batch_size: 32,
            validation_split: 0.0,
            validation_data: None,
            shuffle: true,
            seed: 0,
            augmentation: None,
            class_weight: None,
            initial_epoch: 0,
        }
    }
}

impl Fit<'_> {
    pub(crate) fn check(&self) -> Result<()> {
        let argument =
            |name, expected: &str, found: String| Err(Error::Argument { name, expected: expected.to_owned(), found });
        if self.batch_size == 0 {
            return argument("batch_size", "at least 1", "0".to_owned());
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            return argument("validation_split", "0 or more and less than 1", self.validation_split.to_string());
        }
        Ok(())
    }
}

impl Model {
    /// Trains the model for a number of epochs, calling the callbacks in this order after each batch and epoch. An epoch
    /// is one pass over all samples, one batch per step.
    ///
    /// # Errors
    /// If the model is not compiled, an argument is invalid, the data set does not fit the model or the device, or the
    /// device fails. [`Error::NonFinite`] if the loss of a batch or, at the end of an epoch, a weight or the validation
    /// loss is not finite and no callback stops training
    /// ([`TerminateOnNaN`](crate::callbacks::TerminateOnNaN) does). The weights are those of the last step. Callbacks are
    /// called at the end of an epoch only after this check, so that they never save non-finite weights.
    pub async fn fit_async(
        &mut self,
        data: &Dataset,
        fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        let inputs = self.inputs();
        self.fit_from((&inputs, data), fit, callbacks).await
    }

    /// As [`Model::fit_async`] without callbacks, and waits.
    ///
    /// # Errors
    /// As [`Model::fit_async`].
    pub fn fit(&mut self, data: &Dataset, fit: Fit<'_>) -> Result<History> {
        self.fit_with_callbacks(data, fit, &mut [])
    }

    /// As [`Model::fit_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::fit_async`], and those of the callbacks.
    pub fn fit_with_callbacks(
        &mut self,
        data: &Dataset,
        fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        block_on(self.fit_async(data, fit, callbacks))
    }

    /// Trains on samples whose inputs enter at nodes of the model.
    pub(crate) async fn fit_from(
        &mut self,
        (entry, data): (&[Node], &Dataset),
        mut fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        fit.check()?;
        let split =
            (fit.validation_data.is_none() && fit.validation_split > 0.0).then(|| data.split(fit.validation_split));
        let (data, validation) = match &split {
            Some((first, last)) => (first, Some(last)),
            None => (data, fit.validation_data),
        };
        let standardized = |data: &Dataset| fit.augmentation.map_or(Ok(data.clone()), |how| how.standardize(data));
        let validation = validation.map(standardized).transpose()?;
        let &Fit { batch_size, shuffle, seed, augmentation, .. } = &fit;
        let class_weight = fit.class_weight.take();
        let options = TrainingOptions { batch_size, shuffle, seed, augmentation, class_weight };
        let mut training = Training::begin(self, entry, data, options)?;
        if let Some(validation) = &validation {
            training.model().check_data("fit", validation)?;
        }

        for callback in callbacks.iter_mut() {
            callback.on_train_begin(training.model())?;
        }
        let kept = training.model().callbacks_mut();
        if let Some(states) = kept.take_resumed(fit.initial_epoch) {
            callbacks::restore(callbacks, states)?;
        }
        kept.states = callbacks::states(callbacks)?;
        let mut history = History::default();
        for epoch in fit.initial_epoch + 1..=fit.epochs {
            let mut begin = ControlFlow::Continue(());
            for callback in callbacks.iter_mut() {
                if callback.on_epoch_begin(training.model(), epoch, fit.epochs)?.is_break() {
                    begin = ControlFlow::Break(());
                }
            }
            if begin.is_break() {
                history.stopped = true;
                break;
            }
            let (mut logs, mut flow) = train_epoch(&mut training, [epoch, fit.epochs], callbacks).await?;
            if let (Some(validation), true) = (&validation, flow.is_continue()) {
                let (began, session) = (Instant::now(), training.model().session("fit")?);
                let totals;
                let samples = (entry, validation);
                let on_batch = |logs: &_| tell(callbacks, |callback| callback.on_test_batch_end(logs));
                (totals, flow) = evaluate(session, samples, fit.batch_size, on_batch).await?;
                if flow.is_continue() && !totals.loss().is_finite() {
                    let (step, what) = (logs.batch_losses.len(), "the validation loss".to_owned());
                    let error = Error::NonFinite { epoch, step, what, value: totals.loss() };
                    flow = diverged(callbacks, error)?;
                }
                if flow.is_continue() {
                    logs.val_loss = Some(totals.loss());
                    logs.val_metrics = totals.metrics().of_validation();
                }
                logs.seconds += began.elapsed().as_secs_f64();
            }
            logs.complete = flow.is_continue();
            training.model().session("fit")?.epochs = if logs.complete { epoch } else { epoch - 1 };
            if training.model().end_epoch(callbacks, &logs)?.is_break() {
                flow = ControlFlow::Break(());
            }
            history.epochs.push(logs);
            if flow.is_break() {
                history.stopped = true;
                break;
            }
        }
        self.session("fit")?.average_weights().await?;
        for callback in callbacks.iter_mut() {
            callback.on_train_end(self)?;
        }
        Ok(history)
    }

    /// Calls `on_epoch_end` of all callbacks, then `on_checkpoint`.
    fn end_epoch(&mut self, callbacks: &mut [&mut dyn Callback], logs: &EpochLogs) -> Result<ControlFlow<()>> {
        let mut flow = ControlFlow::Continue(());
        self.callbacks_mut().ending_epoch = true;
        let told: Result<()> = callbacks.iter_mut().try_for_each(|callback| {
            if callback.on_epoch_end(self, logs)?.is_break() {
                flow = ControlFlow::Break(());
            }
            Ok(())
        });
        self.callbacks_mut().ending_epoch = false;
        told?;
        if logs.complete {
            self.callbacks_mut().states = callbacks::states(callbacks)?;
            for callback in callbacks {
                callback.on_checkpoint(self, logs)?;
            }
        }
        Ok(flow)
    }
}

/// Trains an epoch of those up to a last one.
async fn train_epoch(
    training: &mut Training<'_>,
    [epoch, epochs]: [usize; 2],
    callbacks: &mut [&mut dyn Callback],
) -> Result<(EpochLogs, ControlFlow<()>)> {
    training.begin_epoch(epoch)?;
    let began = Instant::now();
    let mut logs = EpochLogs { epoch, ..EpochLogs::default() };
    let mut flow = ControlFlow::Continue(());
    let mut is_finite = true;
    while let Some(report) = training.next_report_async().await? {
        logs.batch_losses.push(report.loss);
        if flow.is_break() {
            continue; // submitted before the callback broke
        }
        let Score { loss, metrics } = training.score();
        let batch_logs = BatchLogs {
            epoch,
            epochs,
            batch: report.step,
            batches: training.steps_per_epoch(),
            samples: training.reported_samples(),
            all_samples: training.samples(),
            batch_loss: report.loss,
            loss,
            metrics,
        };
        flow = tell(callbacks, |callback| callback.on_batch_end(&batch_logs));
        if !report.loss.is_finite() {
            is_finite = false;
            let what = "the loss".to_owned();
            let error = Error::NonFinite { epoch, step: report.step, what, value: report.loss };
            flow = diverged(callbacks, error)?;
        }
        if flow.is_break() {
            training.stop();
        }
    }
    // The last step's weights are in no reported loss yet, and a stopped training has later steps in flight.
    let non_finite = training.model().session("fit")?.non_finite_weight().await?;
    if let Some((what, value)) = non_finite.filter(|_| is_finite) {
        let error = Error::NonFinite { epoch, step: logs.batch_losses.len(), what, value };
        flow = diverged(callbacks, error)?;
        is_finite = false;
    }
    if is_finite && training.model().session("fit")?.has_useless_scale().await? {
        let what = "a gradient, at every loss scale of mixed precision,".to_owned();
        let error = Error::NonFinite { epoch, step: logs.batch_losses.len(), what, value: f64::NAN };
        flow = diverged(callbacks, error)?;
    }
    Score { loss: logs.loss, metrics: logs.metrics } = training.score();
    logs.seconds = began.elapsed().as_secs_f64();
    logs.images_per_second = training.reported_samples() as f64 / logs.seconds;
    Ok((logs, flow))
}

/// Whether a callback stops a training that diverged.
///
/// # Errors
/// That it has, if none does.
fn diverged(callbacks: &mut [&mut dyn Callback], error: Error) -> Result<ControlFlow<()>> {
    match tell(callbacks, |callback| callback.on_non_finite(&error)) {
        ControlFlow::Break(()) => Ok(ControlFlow::Break(())),
        ControlFlow::Continue(()) => Err(error),
    }
}
