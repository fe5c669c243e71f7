//! One pass over a data set: submissions of several steps each, a few of them on their way, and none waited for before it
//! must be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use kiln_graph::{Pending, ReadBack};

use super::flight::Flight;
use super::names::Persistent;
use super::programs::Key;
use super::stream::Chunks;
use super::totals::Batch;
use super::{IN_FLIGHT, Mode, Role, Session, resident};
use crate::compile::MOST_STEPS;
use crate::data::Dataset;
use crate::{Error, Result, memory};

/// A submission that takes less than this runs twice as many steps the next time.
const SHORT: Duration = Duration::from_millis(50);

/// The outcome of a submission.
pub(crate) struct Landed {
    /// Samples of a step.
    batch: usize,
    /// Rows of metrics of a step.
    shards: usize,
    bytes: Vec<u8>,
}

impl Session {
    /// The batches of a submission that measured them.
    pub fn batches(&self, landed: &Landed) -> Vec<Batch> {
        let columns = 1 + self.metrics.len();
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(&landed.bytes);
        let sum = |rows: &[f32], column: usize| rows.iter().skip(column).step_by(columns).copied().map(f64::from).sum();
        let batch = |rows: &[f32]| Batch {
            samples: landed.batch,
            sums: (0..columns).map(|column| sum(rows, column)).collect(),
        };
        values.chunks_exact(columns * landed.shards).map(batch).collect()
    }

    /// The outputs for all samples of a data set, one after the other.
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
        let mut pass = Pass::over_chunks(Mode::Predict, Role::Predict, batch, Chunks::of(data, batch));
        while let Some(landed) = pass.next(self, true)? {
            values.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&landed.bytes));
        }
        Ok(values)
    }
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
            Mode::Train | Mode::Gradients | Mode::Apply => batch,
            Mode::Evaluate | Mode::Predict => batch.min(resident.ty.capacity()).min(session.most_at_once),
        };
        let (chunks, samples) = match resident.reader(batch)? {
            Some(reader) => (Some(reader.start()), 0),
            None => (None, resident.samples()),
        };
        Ok(Pass { samples, chunks, ..Pass::empty(mode, role, batch) })
    }

    /// A pass over chunks that are put on the device one after the other, in batches of this size.
    fn over_chunks(mode: Mode, role: Role, batch: usize, chunks: Chunks) -> Pass {
        Pass { chunks: Some(chunks), ..Pass::empty(mode, role, batch) }
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
        let submitted = Instant::now();
        let shards = session.shards(mode, batch);
        let (pending, steps) = match shards {
            Some(count) => (session.run_shards(mode, role, self.first, batch, count)?, 1),
            None => {
                let (pending, steps) =
                    run(session, Key::whole(mode, role, batch), self.first, (left / batch).min(most))?;
                (vec![pending], steps)
            }
        };
        let (pending, shards) = (pending.into(), shards.unwrap_or(1));
        self.flights.push_back(Flight { pending, submitted, batch, shards, steps });
        self.first += steps * batch;
        Ok(steps)
    }

    /// Puts the next chunk on the device; false if there is none.
    fn next_chunk(&mut self, session: &Session) -> Result<bool> {
        let Some(chunk) = self.chunks.as_mut().map_or(Ok(None), Chunks::next)? else { return Ok(false) };
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
        match flight.poll()? {
            Some(bytes) => Ok(Some(self.land(session, &flight, bytes))),
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
        let Some(mut flight) = self.flights.pop_front() else { return Ok(None) };
        let bytes = flight.wait()?;
        Ok(Some(self.land(session, &flight, bytes)))
    }

    /// Has the next submission of a program run more steps, if one of as many as now took little time.
    fn land(&mut self, session: &mut Session, flight: &Flight, bytes: Vec<u8>) -> Landed {
        let &Flight { submitted, batch, shards, steps, .. } = flight;
        let began = self.last_done.map_or(submitted, |done| done.max(submitted));
        let done = Instant::now();
        self.last_done = Some(done);
        let fixed = session.compiled().and_then(|compiled| compiled.steps_per_execution).is_some();
        if session.shards(self.mode, batch).is_none()
            && let Some(ready) = session.programs.get(Key::whole(self.mode, self.role, batch))
            && !fixed
            && self.mode != Mode::Predict
            && steps == ready.steps
            && done - began < SHORT
        {
            ready.steps = (steps * 2).min(MOST_STEPS);
        }
        Landed { batch, shards, bytes }
    }
}

/// Submits the next steps of a program over whole batches, from sample `first` on and at most `most`, and returns their
/// number.
fn run(session: &mut Session, key: Key, first: usize, most: usize) -> Result<(Box<dyn Pending>, usize)> {
    let count = session.ready(key)?.steps.min(most);
    let steps = session.steps(key.mode, first, key.size, count);
    let outputs = session.network().output_shape().batched(key.size).elements();
    let (name, offset, bytes) = match key.mode {
        Mode::Predict => (Persistent::Predictions, 0, outputs as u64 * 4),
        _ => {
            let (first, row_bytes) = (steps.first().map_or(0, |step| step.row), session.row_bytes());
            (Persistent::Metrics, u64::from(first) * row_bytes, count as u64 * row_bytes)
        }
    };
    let buffer = name.of(&session.buffers).cloned();
    let read_back = buffer.as_ref().map(|buffer| ReadBack { buffer, offset, bytes });
    Ok((session.ready(key)?.program.run(&steps, read_back)?, count))
}
