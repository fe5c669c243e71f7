//! Training step by step: the layer below [`Model::fit`].

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::RangeInclusive;
use std::task::{Context, Poll, Waker, ready};

use kiln_graph::block_on;

use crate::augmentation::Augmentation;
use crate::data::Dataset;
use crate::epochs::Epochs;
use crate::figures::Figures;
use crate::model::Score;
use crate::network::Node;
use crate::random::shuffled;
use crate::session::{Batch, IN_FLIGHT, Landed, Mode, Pass, Role, Session, Totals};
use crate::weights::Weight;
use crate::{Error, Model, Result};

/// The arguments of [`Model::training`].
#[derive(Clone, Debug)]
pub struct TrainingOptions<'a> {
    /// Samples per step. The last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Whether to shuffle the samples in each epoch.
    pub shuffle: bool,
    /// The seed of shuffling and of random draws within a step.
    pub seed: u64,
    /// The augmentation of training images.
    pub augmentation: Option<&'a Augmentation>,
    /// Weights of classes, 1 by default: the loss of a training sample is multiplied by the weight of its class.
    pub class_weight: Option<BTreeMap<usize, f32>>,
}

impl Default for TrainingOptions<'_> {
    fn default() -> Self {
        TrainingOptions { batch_size: 32, shuffle: true, seed: 0, augmentation: None, class_weight: None }
    }
}

/// A training in progress, driven step by step by its owner: an app that renders between steps, or a custom training loop.
/// [`Model::fit`] is such a loop.
///
/// Only [`wait`](Training::wait) and [`next_report`](Training::next_report) block. Other methods never wait for the GPU, for
/// kernels being compiled or for data being read. Several submissions can be in flight at once, so reports arrive a few
/// steps late.
///
/// # Example
/// The loop of an app that renders frames during training. [`Training::epochs`] is the same as a stream, for an executor.
/// ```
/// use kiln::data::{Dataset, Labels};
/// use kiln::layers::Dense;
/// use kiln::losses::MeanSquaredError;
/// use kiln::{Compile, Device, Sequential, Submitted, TrainingOptions};
///
/// let data = Dataset::from_f32([1], vec![0.0, 1.0, 2.0, 3.0], Labels::values(vec![1.0, 3.0, 5.0, 7.0], 1))?;
/// let mut model = Sequential::new([1]);
/// model.add(Dense::new(1));
/// model.compile(&Device::best()?, Compile { loss: MeanSquaredError.into(), ..Compile::default() })?;
///
/// let mut training = model.training(&data, TrainingOptions { batch_size: 2, ..TrainingOptions::default() })?;
/// for epoch in 1..=3 {
///     training.begin_epoch(epoch)?;
///     while training.submit(1)? != Submitted::All {
///         // Draw a frame here.
///         while let Some(step) = training.poll()? {
///             println!("epoch {}, step {}: {}", step.epoch, step.step, step.loss);
///         }
///     }
///     while training.wait()?.is_some() {}
///     if training.score().loss < 0.01 {
///         break;
///     }
///     let rate = training.model().learning_rate()?;
///     training.model().set_learning_rate(rate * 0.9)?;
/// }
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Training<'a> {
    model: &'a mut Model,
    entry: Vec<Node>,
    data: Dataset,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    augmentation: Option<Augmentation>,
    /// [`Session::training_data`] when the epoch began.
    training_data: u64,
    /// The number of the current epoch, starting at 1.
    pub(crate) epoch: usize,
    pass: Option<Pass>,
    /// Whether submission has been stopped.
    stopped: bool,
    /// Completed batches that are not reported yet.
    landed: VecDeque<Batch>,
    steps: usize,
    totals: Totals,
}

/// The result of [`Training::submit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// This many steps were submitted.
    Steps(usize),
    /// No step: the maximum number of submissions is in flight. Call [`Training::poll`] to complete some.
    Full,
    /// No step: kernels are being compiled, or data are being read.
    Preparing,
    /// No step: all steps of the epoch have been submitted.
    All,
}

/// The report of one training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The epoch, starting at 1.
    pub epoch: usize,
    /// The step within the epoch, starting at 1.
    pub step: usize,
    /// The number of samples of its batch.
    pub samples: usize,
    /// The loss, averaged over the batch. If it is not finite, the weights are unusable.
    pub loss: f64,
    /// The metrics, averaged over the batch.
    pub metrics: Figures,
}

impl Model {
    /// Starts a training that the caller drives step by step.
    ///
    /// # Errors
    /// If the model is not compiled, an argument is invalid, or the data set does not fit the model or the device.
    pub fn training(&mut self, data: &Dataset, options: TrainingOptions<'_>) -> Result<Training<'_>> {
        let inputs = self.inputs();
        Training::begin(self, &inputs, data, options)
    }

    /// Trains for one step on all samples of a data set, and returns the loss and metrics before the step, like Keras'
    /// `train_on_batch`. Later calls with samples and labels of the same type allocate nothing on the device.
    ///
    /// # Errors
    /// As [`Model::training`], and [`Error::NonFinite`] if the loss is not finite.
    pub async fn train_on_batch_async(&mut self, data: &Dataset) -> Result<Score> {
        self.single_step(Mode::Train, "train_on_batch", data).await
    }

    /// As [`Model::train_on_batch_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::train_on_batch_async`].
    pub fn train_on_batch(&mut self, data: &Dataset) -> Result<Score> {
        block_on(self.train_on_batch_async(data))
    }

    /// The gradients of the loss, averaged over all samples of a data set, by the names of the trainable variables: those of
    /// the next training step, before clipping. Weights are unchanged; statistics of layers (the moving averages of batch
    /// normalization) are updated as in a training step. In mixed precision, gradients that overflow with the current
    /// [`LossScale`](crate::LossScale) are infinite or NaN.
    ///
    /// # Errors
    /// As [`Model::train_on_batch`].
    pub async fn gradients_async(&mut self, data: &Dataset) -> Result<Vec<Weight>> {
        self.single_step(Mode::Gradients, "gradients", data).await?;
        self.session("gradients")?.gradients().await
    }

    /// As [`Model::gradients_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::gradients_async`].
    pub fn gradients(&mut self, data: &Dataset) -> Result<Vec<Weight>> {
        block_on(self.gradients_async(data))
    }

    async fn single_step(&mut self, mode: Mode, action: &'static str, data: &Dataset) -> Result<Score> {
        self.check_data(action, data)?;
        let inputs = self.inputs();
        let session = self.session(action)?;
        session.set_augmentation(None);
        session.load(Role::Train, data, &inputs)?;
        session.set_order(Role::Train, (0..data.len() as u32).collect())?;
        let mut pass = Pass::over(session, mode, Role::Train, data.len())?;
        let mut totals = session.totals();
        while let Some(landed) = pass.next(session, true).await? {
            session.batches(&landed).iter().for_each(|batch| totals.add(batch));
        }
        let (epoch, step) = (session.epochs + 1, session.iterations() as usize);
        match totals.loss() {
            loss if loss.is_finite() => Ok(Score { loss, metrics: totals.metrics() }),
            value => Err(Error::NonFinite { epoch, step, what: "the loss".to_owned(), value }),
        }
    }
}

impl<'a> Training<'a> {
    /// Starts a training on samples whose inputs enter the model at these nodes.
    pub(crate) fn begin(
        model: &'a mut Model,
        entry: &[Node],
        data: &Dataset,
        options: TrainingOptions<'_>,
    ) -> Result<Training<'a>> {
        let TrainingOptions { batch_size, shuffle, seed, augmentation, class_weight } = options;
        if batch_size == 0 {
            let expected = "at least 1".to_owned();
            return Err(Error::Argument { name: "batch_size", expected, found: "0".to_owned() });
        }
        let mut data = augmentation.map_or(Ok(data.clone()), |how| how.standardize(data))?;
        if let Some(class_weight) = &class_weight {
            data = data.with_class_weight(class_weight)?;
        }
        model.check_data("fit", &data)?;
        if let Some(augmentation) = augmentation {
            augmentation.input_of(data.sample_shapes())?;
        }
        let session = model.session("fit")?;
        session.load(Role::Train, &data, entry)?;
        let (epoch, totals, landed) = (session.epochs, session.totals(), VecDeque::new());
        // Nothing to submit before the first epoch begins.
        let (pass, stopped, steps) = (None, true, 0);
        let (augmentation, training_data) = (augmentation.cloned(), session.training_data);
        Ok(Training {
            model,
            entry: entry.to_vec(),
            data,
            batch_size,
            shuffle,
            seed,
            augmentation,
            training_data,
            epoch,
            pass,
            stopped,
            landed,
            steps,
            totals,
        })
    }

    /// The model, to inspect or change between steps. Submitted steps may still be in flight. The model can evaluate and
    /// predict within an epoch; after a step on other data ([`Model::train_on_batch`], [`Model::gradients`]), submissions
    /// fail until the next [`Training::begin_epoch`].
    pub fn model(&mut self) -> &mut Model {
        self.model
    }

    /// The number of samples of an epoch.
    pub fn samples(&self) -> usize {
        self.data.len()
    }

    /// The number of steps of an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.data.len().div_ceil(self.batch_size)
    }

    /// Begins an epoch, starting at 1: with `shuffle`, in an order that depends on the seed and this number. Discards
    /// pending reports of the previous epoch.
    ///
    /// # Errors
    /// If the model was recompiled or changed, or the device is lost.
    pub fn begin_epoch(&mut self, epoch: usize) -> Result<()> {
        let (samples, before) = (self.data.len(), epoch.saturating_sub(1));
        let order = match self.shuffle {
            true => shuffled(samples, self.seed, before as u64),
            false => (0..samples as u32).collect(),
        };
        let session = self.model.session("fit")?;
        session.seed = self.seed;
        session.set_augmentation(self.augmentation.as_ref());
        session.load(Role::Train, &self.data, &self.entry)?;
        session.set_order(Role::Train, order)?;
        session.epochs = before;
        self.pass = Some(Pass::over(session, Mode::Train, Role::Train, self.batch_size)?);
        (self.totals, self.training_data) = (session.totals(), session.training_data);
        (self.epoch, self.steps, self.stopped) = (epoch, 0, false);
        self.landed.clear();
        Ok(())
    }

    /// Submits the next steps of the epoch, at most `most`. On the processor, they are complete when this returns.
    ///
    /// # Errors
    /// If a program cannot be compiled or run, or the data cannot be read.
    pub fn submit(&mut self, most: usize) -> Result<Submitted> {
        self.check_data()?;
        let Some(pass) = self.pass.as_mut().filter(|_| !self.stopped) else { return Ok(Submitted::All) };
        if pass.in_flight() == IN_FLIGHT {
            return Ok(Submitted::Full);
        }
        let session = self.model.session("fit")?;
        Ok(match pass.poll_submit(session, most.max(1), &mut Context::from_waker(Waker::noop()))? {
            Poll::Ready(0) => Submitted::All,
            Poll::Ready(steps) => Submitted::Steps(steps),
            Poll::Pending => Submitted::Preparing,
        })
    }

    /// The number of submissions in flight.
    pub fn in_flight(&self) -> usize {
        self.pass.as_ref().map_or(0, Pass::in_flight)
    }

    /// The report of the next step, if it is complete.
    ///
    /// # Errors
    /// If the device is lost or reported a fault.
    pub fn poll(&mut self) -> Result<Option<StepReport>> {
        let landed = |pass: &mut Pass, session: &mut Session| Poll::Ready(pass.try_wait(session));
        match self.poll_report(landed) {
            Poll::Ready(report) => report,
            Poll::Pending => Ok(None),
        }
    }

    /// Waits for the report of the next step; none if no step is in flight.
    ///
    /// # Errors
    /// As [`Training::poll`].
    pub fn wait(&mut self) -> Result<Option<StepReport>> {
        block_on(poll_fn(|task| self.poll_report(|pass, session| pass.poll_landed(session, task))))
    }

    /// The report of the next step, keeping the maximum number of submissions in flight; none after the last step of the epoch.
    ///
    /// # Errors
    /// As [`Training::submit`] and [`Training::poll`].
    pub async fn next_report_async(&mut self) -> Result<Option<StepReport>> {
        poll_fn(|task| self.poll_next_report(task)).await
    }

    /// As [`Training::next_report_async`], and waits.
    ///
    /// # Errors
    /// As [`Training::next_report_async`].
    pub fn next_report(&mut self) -> Result<Option<StepReport>> {
        block_on(self.next_report_async())
    }

    /// Trains for these epochs, starting at 1, as a stream of reports of all steps and epochs.
    ///
    /// # Example
    /// ```
    /// use futures::TryStreamExt;
    /// use kiln::{Report, TrainingOptions};
    /// # use kiln::data::{Dataset, Labels};
    /// # use kiln::{Compile, Device, Sequential, layers::Dense, losses::MeanSquaredError};
    /// # async fn train() -> Result<(), kiln::Error> {
    /// # let data = Dataset::from_f32([1], vec![0.0, 1.0, 2.0, 3.0], Labels::values(vec![1.0, 3.0, 5.0, 7.0], 1))?;
    /// # let mut model = Sequential::new([1]);
    /// # model.add(Dense::new(1));
    /// # let compile = Compile { loss: MeanSquaredError.into(), ..Compile::default() };
    /// model.compile_async(&Device::request("").await?, compile).await?;
    /// let mut reports = model.training(&data, TrainingOptions::default())?.epochs(1..=10);
    /// while let Some(report) = reports.try_next().await? {
    ///     match report {
    ///         Report::Step(step) => println!("step {}: {}", step.step, step.loss),
    ///         Report::Epoch(epoch) if epoch.score.loss < 0.01 => break,
    ///         Report::Epoch(_) => {
    ///             let model = reports.training().model();
    ///             model.set_learning_rate(0.9 * model.learning_rate()?)?;
    ///         }
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// # pollster::block_on(train())?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn epochs(self, epochs: RangeInclusive<usize>) -> Epochs<'a> {
        Epochs::new(self, epochs)
    }

    /// Stops submitting steps of this epoch. Steps in flight are still reported.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// The loss and metrics of the epoch, averaged over the samples of all reported steps.
    pub fn score(&self) -> Score {
        Score { loss: self.totals.loss(), metrics: self.totals.metrics() }
    }

    /// The number of samples of all reported steps of the epoch.
    pub fn reported_samples(&self) -> usize {
        self.totals.samples
    }

    /// # Errors
    /// If the training data, their order or the augmentation changed within the epoch.
    fn check_data(&mut self) -> Result<()> {
        if self.stopped || self.model.session("fit")?.training_data == self.training_data {
            return Ok(());
        }
        Err(intervened())
    }

    pub(crate) fn poll_next_report(&mut self, task: &mut Context<'_>) -> Poll<Result<Option<StepReport>>> {
        self.check_data()?;
        let more = !self.stopped;
        self.poll_report(|pass, session| pass.poll_next(session, more, task))
    }

    fn poll_report(
        &mut self,
        landing: impl FnOnce(&mut Pass, &mut Session) -> Poll<Result<Option<Landed>>>,
    ) -> Poll<Result<Option<StepReport>>> {
        if self.landed.is_empty() {
            let Some(pass) = &mut self.pass else { return Poll::Ready(Ok(None)) };
            let session = self.model.session("fit")?;
            if !pass.is_over(session) {
                return Poll::Ready(Err(intervened()));
            }
            let Some(landed) = ready!(landing(pass, session))? else { return Poll::Ready(Ok(None)) };
            self.landed.extend(session.batches(&landed));
        }
        Poll::Ready(self.landed.pop_front().map(|batch| self.report(&batch)).transpose())
    }

    fn report(&mut self, batch: &Batch) -> Result<StepReport> {
        self.totals.add(batch);
        self.steps += 1;
        if self.totals.samples == self.data.len() {
            self.model.session("fit")?.epochs = self.epoch;
        }
        let mut of_step = self.totals.cleared();
        of_step.add(batch);
        let (loss, metrics) = (of_step.loss(), of_step.metrics());
        Ok(StepReport { epoch: self.epoch, step: self.steps, samples: batch.samples, loss, metrics })
    }
}

/// The error of a training whose data or device state was replaced within an epoch.
fn intervened() -> Error {
    let expected = "no step on other data within an epoch; call `begin_epoch` after such a step".to_owned();
    Error::Argument { name: "training", expected, found: "one since `begin_epoch`".to_owned() }
}
