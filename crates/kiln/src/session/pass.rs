//! One pass over a data set: submissions of several steps each, a few of them on their way, and none waited for before it
//! must be.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_graph::{Pending, ReadBack, block_on};

use super::stream::Chunks;
use super::{IN_FLIGHT, Mode, Role, Session, graphs, resident};
use crate::callbacks::{Callback, TestBatchLogs, tell};
use crate::compile::MOST_STEPS;
use crate::data::Dataset;
use crate::figures::Figures;
use crate::network::Node;
use crate::{Error, Result};

/// A submission that takes less than this runs twice as many steps the next time.
const SHORT: Duration = Duration::from_millis(50);

/// The sums of the losses and metrics of some batches.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub samples: usize,
    /// The sum of the losses, then of each metric.
    sums: Vec<f64>,
    metrics: Arc<[Arc<str>]>,
}

impl Totals {
    /// Of no batch yet.
    pub fn new(metrics: Arc<[Arc<str>]>) -> Totals {
        Totals { samples: 0, sums: vec![0.0; 1 + metrics.len()], metrics }
    }

    pub fn add(&mut self, batch: &Batch) {
        self.samples += batch.samples;
        for (sum, value) in self.sums.iter_mut().zip(&batch.sums) {
            *sum += f64::from(*value);
        }
    }

    /// The loss, averaged over the samples.
    pub fn loss(&self) -> f64 {
        self.sums[0] / self.samples.max(1) as f64
    }

    /// The metrics, averaged over the samples.
    pub fn metrics(&self) -> Figures {
        let values = self.sums[1..].iter().map(|sum| sum / self.samples.max(1) as f64);
        self.metrics.iter().cloned().zip(values).collect()
    }

    /// Of no batch yet, with the same metrics.
    pub fn cleared(&self) -> Totals {
        Totals::new(self.metrics.clone())
    }
}

/// The sums of the losses and metrics of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// How many samples it had.
    pub samples: usize,
    /// The sum of the samples' losses, then of each metric.
    sums: Vec<f32>,
}

/// The outcome of a submission.
pub(crate) struct Landed {
    /// Samples of a step.
    batch: usize,
    bytes: Vec<u8>,
}

impl Session {
    /// The batches of a submission that measured them.
    pub fn batches(&self, landed: &Landed) -> Vec<Batch> {
        let rows = landed.bytes.chunks_exact(self.row_bytes() as usize);
        rows.map(|row| Batch { samples: landed.batch, sums: bytemuck::pod_collect_to_vec(row) }).collect()
    }

    /// The loss and the metrics of all samples of a data set, or of those until a callback broke.
    ///
    /// # Errors
    /// When the data set does not fit the model, or a program cannot be made or run.
    pub fn evaluate(
        &mut self,
        (entry, data): (Node, &Dataset),
        batch: usize,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<(Totals, ControlFlow<()>)> {
        self.load(Role::Test, data, entry)?;
        let mut totals = self.totals();
        let mut flow = ControlFlow::Continue(());
        let mut pass = Pass::over(self, Mode::Evaluate, Role::Test, batch)?;
        while let Some(landed) = pass.next(self, flow.is_continue())? {
            for batch in self.batches(&landed) {
                totals.add(&batch);
                if flow.is_continue() {
                    let (loss, metrics) = (totals.loss(), totals.metrics());
                    let logs = TestBatchLogs { samples: totals.samples, all_samples: data.len(), loss, metrics };
                    flow = tell(callbacks, |callback| callback.on_test_batch_end(&logs));
                }
            }
        }
        Ok((totals, flow))
    }
}

/// A submission on its way.
#[derive(Debug)]
struct Flight {
    pending: Box<dyn Pending>,
    submitted: Instant,
    batch: usize,
    steps: usize,
}

/// A pass over a data set under way.
#[derive(Debug)]
pub(crate) struct Pass {
    mode: Mode,
    role: Role,
    batch: usize,
    /// The samples on the device, and the first of them that is in no submission yet.
    samples: usize,
    first: usize,
    /// The chunks that follow.
    chunks: Option<Chunks>,
    flights: VecDeque<Flight>,
    last_done: Option<Instant>,
}

impl Pass {
    /// A pass over the data set of a role, in batches of this size.
    ///
    /// # Errors
    /// When a batch is larger than the part of the data set that the device holds.
    pub fn over(session: &Session, mode: Mode, role: Role, batch: usize) -> Result<Pass> {
        let missing = || Error::NotReady { model: session.network.name.clone(), action: "a pass", call: "fit" };
        let resident = session.resident.get(&role).ok_or_else(missing)?;
        // How a training is cut into batches is the user's choice; else it is of no concern.
        let batch = match mode {
            Mode::Train | Mode::Gradients => batch,
            Mode::Evaluate | Mode::Predict => batch.min(resident.ty.capacity()).min(session.most_at_once),
        };
        let (chunks, samples) = match resident.reader(batch)? {
            Some(reader) => (Some(reader.start()), 0),
            None => (None, resident.samples()),
        };
        Ok(Pass { samples, chunks, ..Pass::empty(mode, role, batch) })
    }

    fn empty(mode: Mode, role: Role, batch: usize) -> Pass {
        let flights = VecDeque::with_capacity(IN_FLIGHT);
        Pass { mode, role, batch, samples: 0, first: 0, chunks: None, flights, last_done: None }
    }

    /// The outcome of the next submission, which is waited for; none when all are over. Before it waits, it submits what
    /// may be on its way meanwhile, if `more` may follow.
    ///
    /// # Errors
    /// When a program cannot be made or run, or the data cannot be read.
    pub fn next(&mut self, session: &mut Session, more: bool) -> Result<Option<Landed>> {
        while more && self.flights.len() < IN_FLIGHT && self.submit(session, MOST_STEPS)? > 0 {
            if let Some(landed) = self.poll(session)? {
                return Ok(Some(landed));
            }
        }
        self.wait(session)
    }

    /// How many submissions are on their way.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Submits the next batches, as many of one size as the program runs at once but at most `most`, and returns their
    /// number: 0 when all were submitted. Does not wait for the device.
    ///
    /// # Errors
    /// As [`Pass::next`].
    pub fn submit(&mut self, session: &mut Session, most: usize) -> Result<usize> {
        if self.first == self.samples && !self.next_chunk(session)? {
            return Ok(0);
        }
        let Pass { mode, role, .. } = *self;
        let left = self.samples - self.first;
        let batch = self.batch.min(left);
        let count = session.ready(mode, role, batch)?.steps.min(left / batch).min(most);
        let steps = session.steps(mode, self.first, batch, count);
        let outputs = session.network().output_shape().batched(batch).elements();
        let (name, offset, bytes) = match mode {
            Mode::Predict => (graphs::PREDICTIONS, 0, outputs as u64 * 4),
            _ => {
                let (first, row_bytes) = (steps.first().map_or(0, |step| step.row), session.row_bytes());
                (graphs::METRICS, u64::from(first) * row_bytes, count as u64 * row_bytes)
            }
        };
        let buffer = session.buffers.get(name).cloned();
        let read_back = buffer.as_ref().map(|buffer| ReadBack { buffer, offset, bytes });
        let submitted = Instant::now();
        let pending = session.ready(mode, role, batch)?.program.run(&steps, read_back)?;
        self.flights.push_back(Flight { pending, submitted, batch, steps: count });
        self.first += count * batch;
        Ok(count)
    }

    /// Puts the next chunk on the device; false if there is none.
    fn next_chunk(&mut self, session: &Session) -> Result<bool> {
        let Some(chunk) = self.chunks.as_mut().map_or(Ok(None), |chunks| block_on(chunks.next()))? else {
            return Ok(false);
        };
        resident::write_data(&chunk, self.role, &session.buffers)?;
        (self.first, self.samples) = (0, chunk.len());
        Ok(true)
    }

    /// The outcome of the first submission on its way, if it is done. Does not wait.
    ///
    /// # Errors
    /// When the device is lost or reported a fault.
    pub fn poll(&mut self, session: &mut Session) -> Result<Option<Landed>> {
        let Some(mut flight) = self.flights.pop_front() else { return Ok(None) };
        match flight.pending.try_wait()? {
            Some(bytes) => Ok(Some(self.land(session, flight.submitted, [flight.batch, flight.steps], bytes))),
            None => {
                self.flights.push_front(flight);
                Ok(None)
            }
        }
    }

    /// The outcome of the first submission on its way, if there is any. Waits for it.
    ///
    /// # Errors
    /// As [`Pass::poll`].
    pub fn wait(&mut self, session: &mut Session) -> Result<Option<Landed>> {
        let Some(Flight { pending, submitted, batch, steps }) = self.flights.pop_front() else { return Ok(None) };
        let bytes = pending.wait()?;
        Ok(Some(self.land(session, submitted, [batch, steps], bytes)))
    }

    /// Has the next submission of a program run more steps, if one of as many as now took little time.
    fn land(
        &mut self,
        session: &mut Session,
        submitted: Instant,
        [batch, steps]: [usize; 2],
        bytes: Vec<u8>,
    ) -> Landed {
        let began = self.last_done.map_or(submitted, |done| done.max(submitted));
        let done = Instant::now();
        self.last_done = Some(done);
        let fixed = session.compiled().and_then(|compiled| compiled.steps_per_execution).is_some();
        if let Some(ready) = session.programs.get((self.mode, self.role, batch))
            && !fixed
            && self.mode != Mode::Predict
            && steps == ready.steps
            && done - began < SHORT
        {
            ready.steps = (steps * 2).min(MOST_STEPS);
        }
        Landed { batch, bytes }
    }
}
