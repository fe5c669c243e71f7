//! A network on a device: its buffers, its programs and the data sets on the same device.

mod apply;
mod data;
mod data_type;
mod flight;
mod graphs;
mod layout;
mod loss_scale;
mod memory;
mod names;
mod outputs;
mod pass;
mod penalties;
mod plans;
mod predict;
mod profile;
mod programs;
mod progress;
mod resident;
mod shards;
mod stream;
mod totals;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_graph::{Buffers, Preparation, Program, Step};

use crate::augmentation::Augmentation;
use crate::compile::{Compile, MOST_STEPS};
use crate::network::{Network, Node};
use crate::objectives::Objectives;
use crate::optimizers::LearningRate;
use crate::random::{Stream, bits};
use crate::{Device, Error, LossScale, Precision, Result};

pub(crate) use flight::Landed;
use layout::Layout;
pub(crate) use memory::check_memory;
use names::Persistent;
pub(crate) use names::Role;
use outputs::Outputs;
pub(crate) use pass::Pass;
use plans::most_at_once;
pub(crate) use predict::{locked, predict};
use programs::{Key, Programs, Ready};
pub(crate) use progress::Progress;
use resident::Resident;
use stream::Reader;
pub(crate) use totals::{Batch, Totals};

/// The maximum number of submissions in flight.
pub(crate) const IN_FLIGHT: usize = 3;
/// One row per step, one set of rows per submission in flight, plus one for the next.
const METRICS_ROWS: usize = MOST_STEPS * (IN_FLIGHT + 1);

/// The batch size of predictions, and of evaluations outside `fit`, unless samples are large.
pub(crate) const INFERENCE_BATCH: usize = 128;

/// The use of a program: training, evaluation or prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Train,
    /// A training step up to the gradients, of a batch or of a shard.
    Gradients,
    /// The rest of a training step, after the gradients of all shards. For programs only, not for passes.
    Apply,
    Evaluate,
    Predict,
}

/// A network on a device.
#[derive(Debug)]
pub(crate) struct Session {
    device: Device,
    buffers: Buffers,
    network: Network,
    layout: Layout,
    compiled: Option<Compile>,
    /// The outputs with a loss, if the network is compiled.
    objectives: Objectives,
    /// The precision of products.
    precision: Precision,
    augmentation: Option<Augmentation>,
    learning_rate: LearningRate,
    /// The names of all figures beside the total loss.
    metrics: Arc<[Arc<str>]>,
    /// The maximum batch size of predictions and evaluations.
    most_at_once: usize,
    iterations: u64,
    /// The number of completed epochs.
    pub epochs: usize,
    /// The seed of random draws in training steps.
    pub seed: u64,
    submissions: usize,
    /// The number of evaluation and prediction steps since the last training step.
    inferences: u64,
    programs: Programs,
    resident: HashMap<Role, Resident>,
    /// The nodes at which the samples of each role enter, one for each input of the data set.
    entries: HashMap<Role, Vec<Node>>,
    /// A stamp of the last change of the training data, their order or the augmentation. A training driven step by step uses
    /// it to detect that another one has intervened.
    pub training_data: u64,
    /// Counts the reallocations of buffers for predictions, whose programs are invalid then.
    prediction_data: u64,
    /// Differs from that of any other session.
    pub id: u64,
}

impl Session {
    /// Creates a session with a network and its concatenated weights on a device.
    ///
    /// # Errors
    /// If the arguments of `compile` do not fit the network's outputs, memory runs out or the device is lost.
    pub async fn new(
        device: &Device,
        network: &Network,
        compiled: Option<Compile>,
        precision: Precision,
        weights: &[f32],
    ) -> Result<Session> {
        let learning_rate = compiled.as_ref().map(|compiled| compiled.optimizer.learning_rate().clone());
        let objectives = compiled.as_ref().map(|compiled| Objectives::new(compiled, network)).transpose()?;
        let objectives = objectives.unwrap_or_default();
        let metrics = objectives.figures.iter().map(|name| Arc::from(name.as_str())).collect();
        let mut session = Session {
            device: device.clone(),
            buffers: Buffers::new(device.as_dyn().clone()),
            network: network.clone(),
            layout: Layout::new(network),
            compiled,
            objectives,
            precision,
            augmentation: None,
            metrics,
            most_at_once: most_at_once(network, &device.info().limits),
            learning_rate: learning_rate.unwrap_or(LearningRate::Constant(0.0)),
            iterations: 0,
            epochs: 0,
            seed: 0,
            submissions: 0,
            inferences: 0,
            programs: Programs::default(),
            resident: HashMap::new(),
            entries: HashMap::new(),
            training_data: stamp(),
            prediction_data: 0,
            id: stamp(),
        };
        session.layout.allocate(&mut session.buffers)?;
        let metrics = METRICS_ROWS as u64 * session.row_bytes();
        Persistent::Metrics.make(&mut session.buffers, metrics)?;
        let outputs = Outputs::of(network, session.most_at_once.min(INFERENCE_BATCH));
        Persistent::Predictions.make(&mut session.buffers, outputs.bytes)?;
        let count = session.layout.trainable_len().max(1);
        if session.compiled.is_some() {
            Persistent::Gradients.make(&mut session.buffers, count as u64 * 4)?;
        }
        for level in 0..session.compiled.as_ref().map_or(0, Compile::levels) {
            Persistent::PartialSum(level).make(&mut session.buffers, count as u64 * 4)?;
        }
        for slot in session.compiled.iter().flat_map(Compile::slots) {
            let buffer = Persistent::Slot(slot.name).make(&mut session.buffers, count as u64 * 4)?;
            if slot.initial != 0.0 {
                buffer.write(0, bytemuck::cast_slice(&vec![slot.initial; count]))?;
            }
        }
        if session.compiled.is_some() && loss_scale::applies_to(precision) {
            Persistent::LossScale.make(&mut session.buffers, 16)?;
            session.set_loss_scale(LossScale::default())?;
        }
        session.write_weights(weights)?;
        session.compile_if_weak().await?;
        Ok(session)
    }

    /// The network as it was when the session was created.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The arguments of `compile`, if the network is compiled.
    pub fn compiled(&self) -> Option<&Compile> {
        self.compiled.as_ref()
    }

    /// Starts to read the weights. The future returns them concatenated.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn weights(&self) -> Result<impl Future<Output = Result<Vec<f32>>> + Send + use<>> {
        self.layout.read(&self.network, &self.buffers)
    }

    /// The name and value of a non-finite variable, if there is one.
    ///
    /// # Errors
    /// If the device is lost.
    pub async fn non_finite_weight(&mut self) -> Result<Option<(String, f64)>> {
        self.layout.non_finite(&self.network, &self.buffers).await
    }

    /// Replaces the weights.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn write_weights(&self, weights: &[f32]) -> Result<()> {
        self.layout.write(&self.network, &self.buffers, weights)
    }

    /// The size of a row of the metrics buffer, in bytes: the total loss and each other figure.
    fn row_bytes(&self) -> u64 {
        (1 + self.metrics.len()) as u64 * 4
    }

    /// Empty totals.
    pub fn totals(&self) -> Totals {
        Totals::new(self.metrics.clone())
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        match self.learning_rate {
            LearningRate::Constant(rate) => rate,
            LearningRate::Schedule(_) => f64::from(self.learning_rate.at(self.iterations)),
        }
    }

    /// Sets the learning rate from the next step on.
    ///
    /// # Errors
    /// [`Error::Argument`] if the learning rate is a schedule, or the new one is invalid.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        if let LearningRate::Schedule(schedule) = &self.learning_rate {
            let expected = "an optimizer with a constant learning rate".to_owned();
            return Err(Error::Argument { name: "learning_rate", expected, found: format!("{schedule:?}") });
        }
        let new = LearningRate::Constant(rate);
        new.check()?;
        self.learning_rate = new;
        Ok(())
    }

    /// The number of training steps so far.
    pub fn iterations(&self) -> u64 {
        self.iterations
    }

    /// The layout of the variables.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn compiled_for(&self, action: &'static str) -> Result<&Compile> {
        let model = self.network.name.clone();
        self.compiled.as_ref().ok_or(Error::NotReady { model, action, call: "compile" })
    }

    /// Sets the augmentation. Drops training programs with a different one.
    pub fn set_augmentation(&mut self, augmentation: Option<&Augmentation>) {
        if self.augmentation.as_ref() != augmentation {
            self.programs.retain(|key| !matches!(key.mode, Mode::Train | Mode::Gradients));
            self.augmentation = augmentation.cloned();
            self.training_data = stamp();
        }
    }

    /// The reader of a data set that is only partly on the device.
    fn reader(&self, role: Role, batch: usize) -> Result<Option<Reader>> {
        self.resident.get(&role).map_or(Ok(None), |resident| resident.reader(batch))
    }

    /// The inputs of a program's compilation, and the size of its slots in bytes.
    ///
    /// # Errors
    /// If planning fails or memory runs out.
    fn preparation(&mut self, key: Key) -> Result<(Preparation, u64)> {
        self.check_step(key)?;
        let plan = self.plan(key)?;
        tracing::debug!("{key:?}:\n{plan}");
        self.check_slots(&plan, key)?;
        let slot_bytes = plan.slot_bytes();
        Ok((self.buffers.prepare(plan)?, slot_bytes))
    }

    /// Stores the compiled program of a key.
    fn keep(&mut self, key: Key, program: Box<dyn Program>, slot_bytes: u64) {
        let fixed = self.compiled.as_ref().and_then(|compiled| compiled.steps_per_execution);
        let steps = fixed.filter(|_| key.mode != Mode::Predict).unwrap_or(1);
        self.programs.insert(key, Ready { program, steps, slot_bytes }, &self.buffers);
    }

    /// The program of a key, which must be compiled.
    ///
    /// # Errors
    /// If it is not.
    fn ready(&mut self, key: Key) -> Result<&mut Ready> {
        let missing = || Error::NotReady { model: self.network.name.clone(), action: "a program", call: "compile" };
        self.programs.get(key).ok_or_else(missing)
    }

    /// The device memory of the network, its programs and its data sets, in bytes.
    pub fn bytes(&self) -> u64 {
        self.buffers.bytes()
    }

    /// The parameters of the next `count` steps, starting at sample `first`.
    fn steps(&mut self, mode: Mode, first: usize, batch: usize, count: usize) -> Vec<Step> {
        let first_row = self.submissions % (IN_FLIGHT + 1) * MOST_STEPS;
        self.submissions += 1;
        let steps = (0..count).map(|i| {
            let step = Step { first: (first + i * batch) as u32, row: (first_row + i) as u32, ..Step::default() };
            match &self.compiled {
                Some(compiled) if matches!(mode, Mode::Train | Mode::Gradients) => {
                    let iterations = self.iterations + i as u64;
                    let key = bits(Stream::Step, [self.seed, iterations, 0]);
                    let learning_rate = self.learning_rate.at(iterations);
                    let rates = compiled.optimizer.rates(iterations, learning_rate);
                    Step { key: words(key), rates, learning_rate, iteration: iterations as u32, ..step }
                }
                // For layers called with `training` set.
                _ => {
                    let inferences = self.inferences + i as u64;
                    Step { key: words(bits(Stream::Inference, [self.seed, self.iterations, inferences])), ..step }
                }
            }
        });
        let steps = steps.collect();
        match mode {
            Mode::Train => (self.iterations, self.inferences) = (self.iterations + count as u64, 0),
            Mode::Gradients | Mode::Apply => {}
            Mode::Evaluate | Mode::Predict => self.inferences += count as u64,
        }
        steps
    }
}

/// A number that no other call returns in this process.
fn stamp() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The low and high words.
fn words(bits: u64) -> [u32; 2] {
    [bits as u32, (bits >> 32) as u32]
}
