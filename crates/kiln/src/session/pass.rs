//! One pass over a data set: submissions of several steps each, a few of them on their way, and no other waiting.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kiln_graph::{Pending, ReadBack};

use super::stream::Chunk;
use super::{IN_FLIGHT, Mode, Role, Session, graphs};
use crate::callbacks::{Callback, TestBatchLogs, tell};
use crate::compile::MOST_STEPS;
use crate::data::Dataset;
use crate::figures::Figures;
use crate::network::Node;
use crate::{Error, Result, memory};

/// A submission that takes less than this runs twice as many steps the next time.
const SHORT: Duration = Duration::from_millis(50);

/// What came out of some batches.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub samples: usize,
    /// The sum of the losses, then of each metric.
    sums: Vec<f64>,
    metrics: Arc<[Arc<str>]>,
}

impl Totals {
    /// Nothing yet.
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
}

/// What came out of one batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    /// How many samples it had.
    pub samples: usize,
    /// The sum of the samples' losses, then of each metric.
    sums: Vec<f32>,
}

impl Batch {
    /// The loss, averaged over the samples.
    pub fn loss(&self) -> f64 {
        f64::from(self.sums[0]) / self.samples as f64
    }
}

/// Gets the samples per step of a submission and what was read back.
type OnFlight<'a> = dyn FnMut(usize, &[u8]) -> Result<ControlFlow<()>> + 'a;

impl Session {
    /// Runs all batches of a data set in its order and hands over what came out of each, in order. The last batch may
    /// be smaller. When `on_batch` breaks, what is on its way still ends and is handed over; nothing follows.
    ///
    /// # Errors
    /// What `on_batch` gives, and when a program cannot be made or run.
    pub fn measure(
        &mut self,
        mode: Mode,
        role: Role,
        batch: usize,
        on_batch: &mut dyn FnMut(Batch) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let row_bytes = self.row_bytes() as usize;
        self.pass(mode, role, batch, &mut |samples, bytes| {
            let mut flow = ControlFlow::Continue(());
            for row in bytes.chunks_exact(row_bytes) {
                let batch = Batch { samples, sums: bytemuck::pod_collect_to_vec(row) };
                if on_batch(batch)?.is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            Ok(flow)
        })
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
        self.measure(Mode::Evaluate, Role::Test, batch, &mut |batch| {
            totals.add(&batch);
            if flow.is_continue() {
                let (loss, metrics) = (totals.loss(), totals.metrics());
                let logs = TestBatchLogs { samples: totals.samples, all_samples: data.len(), loss, metrics };
                flow = tell(callbacks, |callback| callback.on_test_batch_end(&logs));
            }
            Ok(flow)
        })?;
        Ok((totals, flow))
    }

    /// What the model gives for all samples of a data set, one after the other.
    ///
    /// # Errors
    /// When the data set does not fit the model, or a program cannot be made or run.
    pub fn predict(&mut self, data: &Dataset) -> Result<Vec<f32>> {
        let batch = self.prepare_predictions(data)?;
        let count = data.len().saturating_mul(self.network.output_shape().elements());
        let mut values: Vec<f32> = memory::with_capacity(count).map_err(|_| Error::Memory {
            what: format!("{} predictions", data.len()),
            bytes: count as u64 * 4,
            free: memory::free(),
        })?;
        let reader = if data.is_streamed() { self.reader(Role::Predict, batch)? } else { None };
        let mut take = |_, bytes: &[u8]| {
            values.extend(bytemuck::pod_collect_to_vec::<u8, f32>(bytes));
            Ok(ControlFlow::Continue(()))
        };
        let mut pass = Pass::new(self, Mode::Predict, Role::Predict, &mut take);
        match reader {
            Some(reader) => reader.each(|chunk| pass.run_chunk(batch, chunk))?,
            None => {
                for first in (0..data.len()).step_by(batch) {
                    let chunk = Chunk::of(data, first..data.len().min(first + batch))?;
                    let _: ControlFlow<()> = pass.run_chunk(batch, &chunk)?;
                }
            }
        }
        pass.land(0).map(|_| ())?;
        Ok(values)
    }

    fn pass(&mut self, mode: Mode, role: Role, batch: usize, on_flight: &mut OnFlight<'_>) -> Result<()> {
        let Some(resident) = self.resident.get(&role) else { return Ok(()) };
        // How a training is cut into batches is the user's choice; else it is of no concern.
        let batch = match mode {
            Mode::Train => batch,
            Mode::Evaluate | Mode::Predict => batch.min(resident.ty.capacity()).min(self.most_at_once),
        };
        let (samples, reader) = (resident.samples(), self.reader(role, batch)?);
        let mut pass = Pass::new(self, mode, role, on_flight);
        match reader {
            None => pass.run(batch, samples).map(|_| ())?,
            Some(reader) => reader.each(|chunk| pass.run_chunk(batch, chunk))?,
        }
        pass.land(0).map(|_| ())
    }
}

/// A submission on its way.
struct Flight {
    pending: Box<dyn Pending>,
    submitted: Instant,
    batch: usize,
    steps: usize,
}

/// A pass under way.
struct Pass<'a> {
    session: &'a mut Session,
    mode: Mode,
    role: Role,
    flights: VecDeque<Flight>,
    last_done: Option<Instant>,
    on_flight: &'a mut OnFlight<'a>,
}

impl<'a> Pass<'a> {
    fn new(session: &'a mut Session, mode: Mode, role: Role, on_flight: &'a mut OnFlight<'a>) -> Pass<'a> {
        let flights = VecDeque::with_capacity(IN_FLIGHT);
        Pass { session, mode, role, flights, last_done: None, on_flight }
    }

    /// Puts a chunk on the device and submits all its batches.
    fn run_chunk(&mut self, batch: usize, chunk: &Chunk<'_>) -> Result<ControlFlow<()>> {
        chunk.write(self.role, &self.session.buffers)?;
        self.run(batch, chunk.samples)
    }

    /// Submits all batches of the first `samples` samples that lie on the device, the last of which may be smaller.
    fn run(&mut self, batch: usize, samples: usize) -> Result<ControlFlow<()>> {
        let mut first = 0;
        let mut flow = ControlFlow::Continue(());
        while first < samples && flow.is_continue() {
            first += self.submit(first, batch.min(samples - first), samples - first)?;
            flow = self.land(IN_FLIGHT - 1)?;
        }
        Ok(flow)
    }

    /// Submits as many whole batches of the `left` samples as the program takes at once. Gives how many samples those
    /// are.
    fn submit(&mut self, first: usize, batch: usize, left: usize) -> Result<usize> {
        let Pass { mode, role, .. } = *self;
        let most = self.session.ready(mode, role, batch)?.steps;
        let count = most.min(left / batch);
        let steps = self.session.steps(mode, first, batch, count);
        let outputs = self.session.network().output_shape().batched(batch).elements();
        let (name, offset, bytes) = match mode {
            Mode::Predict => (graphs::PREDICTIONS, 0, outputs as u64 * 4),
            _ => {
                let (first, row_bytes) = (steps.first().map_or(0, |step| step.row), self.session.row_bytes());
                (graphs::METRICS, u64::from(first) * row_bytes, count as u64 * row_bytes)
            }
        };
        let buffer = self.session.buffers.get(name).cloned();
        let read_back = buffer.as_ref().map(|buffer| ReadBack { buffer, offset, bytes });
        let submitted = Instant::now();
        let pending = self.session.ready(mode, role, batch)?.program.run(&steps, read_back)?;
        self.flights.push_back(Flight { pending, submitted, batch, steps: count });
        Ok(count * batch)
    }

    /// Hands over the submissions that are done, and waits until at most `most` are left.
    fn land(&mut self, most: usize) -> Result<ControlFlow<()>> {
        let mut flow = ControlFlow::Continue(());
        while let Some(front) = self.flights.front_mut() {
            let early = front.pending.poll()?;
            if early.is_none() && self.flights.len() <= most {
                break;
            }
            let Some(Flight { pending, submitted, batch, steps }) = self.flights.pop_front() else { break };
            let bytes = match early {
                Some(bytes) => bytes,
                None => pending.wait()?,
            };
            let began = self.last_done.map_or(submitted, |done| done.max(submitted));
            let done = Instant::now();
            self.last_done = Some(done);
            self.adapt(batch, steps, done - began);
            if (self.on_flight)(batch, &bytes)?.is_break() {
                flow = ControlFlow::Break(());
            }
        }
        Ok(flow)
    }

    /// Has the next submission of a program run more steps, if one of as many as now took little time.
    fn adapt(&mut self, batch: usize, steps: usize, took: Duration) {
        let fixed = self.session.compiled().and_then(|compiled| compiled.steps_per_execution).is_some();
        let Some(ready) = self.session.programs.get((self.mode, self.role, batch)) else { return };
        if !fixed && self.mode != Mode::Predict && steps == ready.steps && took < SHORT {
            ready.steps = (steps * 2).min(MOST_STEPS);
        }
    }
}
