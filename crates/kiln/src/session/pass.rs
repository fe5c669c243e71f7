//! One pass over a data set: submissions of several steps each, a few of them in flight.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use kiln_graph::{DeviceError, Pending, Program, ReadBack};

use super::flight::{Flight, Landed};
use super::names::Persistent;
use super::programs::Key;
use super::stream::Chunks;
use super::{IN_FLIGHT, Mode, Role, Session, resident};
use crate::compile::MOST_STEPS;
use crate::{Error, Result};

/// After a submission shorter than this, the next one runs twice as many steps.
const SHORT: Duration = Duration::from_millis(50);

/// A pass over a data set in progress. No method blocks: pending work is polled.
#[derive(Debug)]
pub(crate) struct Pass {
    /// [`Session::id`] of the session that it is over.
    session: u64,
    mode: Mode,
    role: Role,
    batch: usize,
    /// The number of samples on the device, and the first that is not submitted yet.
    samples: usize,
    first: usize,
    /// The remaining chunks.
    chunks: Option<Chunks>,
    compilation: Option<Compilation>,
    flights: VecDeque<Flight>,
    last_done: Option<Instant>,
}

/// A program that is being compiled.
struct Compilation {
    key: Key,
    slot_bytes: u64,
    program: BoxFuture<'static, std::result::Result<Box<dyn Program>, DeviceError>>,
}

impl fmt::Debug for Compilation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compilation({:?})", self.key)
    }
}

impl Pass {
    /// A pass over the data set of a role, in batches of this size.
    ///
    /// # Errors
    /// If a batch is larger than the part of the data set that is on the device.
    pub fn over(session: &Session, mode: Mode, role: Role, batch: usize) -> Result<Pass> {
        let missing = || Error::NotReady { model: session.network.name.clone(), action: "a pass", call: "fit" };
        let resident = session.resident.get(&role).ok_or_else(missing)?;
        // The batch size of training is the user's choice; otherwise it does not affect the result.
        let batch = match mode {
            Mode::Train | Mode::Gradients | Mode::Apply => batch,
            Mode::Evaluate | Mode::Predict => batch.min(resident.ty.capacity()).min(session.most_at_once),
        };
        let (chunks, samples) = match resident.reader(batch)? {
            Some(reader) => (Some(reader.start()), 0),
            None => (None, resident.samples()),
        };
        let flights = VecDeque::with_capacity(IN_FLIGHT);
        Ok(Pass {
            session: session.id,
            mode,
            role,
            batch,
            samples,
            first: 0,
            chunks,
            compilation: None,
            flights,
            last_done: None,
        })
    }

    /// Whether it is over the data of this session.
    pub fn is_over(&self, session: &Session) -> bool {
        self.session == session.id
    }

    /// The number of submissions in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// Prepares the data and programs of the next batch for submission, and returns its size: 0 after the last.
    ///
    /// # Errors
    /// If a program cannot be compiled, or the data cannot be read.
    fn poll_batch(&mut self, session: &mut Session, task: &mut Context<'_>) -> Poll<Result<usize>> {
        if self.first == self.samples {
            let Some(chunks) = &mut self.chunks else { return Poll::Ready(Ok(0)) };
            let Some(chunk) = ready!(chunks.poll(task))? else { return Poll::Ready(Ok(0)) };
            resident::write_data(&chunk, self.role, &session.buffers)?;
            (self.first, self.samples) = (0, chunk.len());
        }
        let batch = self.batch.min(self.samples - self.first);
        for key in session.keys(self.mode, self.role, batch) {
            ready!(self.poll_program(session, key, task))?;
        }
        Poll::Ready(Ok(batch))
    }

    /// Compiles the program of a key, unless it is cached.
    fn poll_program(&mut self, session: &mut Session, key: Key, task: &mut Context<'_>) -> Poll<Result<()>> {
        if session.programs.get(key).is_some() {
            return Poll::Ready(Ok(()));
        }
        let compilation = match &mut self.compilation {
            Some(compilation) if compilation.key == key => compilation,
            other => {
                let (preparation, slot_bytes) = session.preparation(key)?;
                other.insert(Compilation { key, slot_bytes, program: preparation.program().boxed() })
            }
        };
        let program = ready!(compilation.program.poll_unpin(task));
        let slot_bytes = compilation.slot_bytes;
        self.compilation = None;
        session.keep(key, program?, slot_bytes);
        Poll::Ready(Ok(()))
    }

    /// Submits the next batches, as many of one size as the program runs per submission but at most `most`, and returns their
    /// number: 0 after the last.
    ///
    /// # Errors
    /// If a program cannot be compiled or run, or the data cannot be read.
    pub fn poll_submit(&mut self, session: &mut Session, most: usize, task: &mut Context<'_>) -> Poll<Result<usize>> {
        let batch = ready!(self.poll_batch(session, task))?;
        if batch == 0 {
            return Poll::Ready(Ok(0));
        }
        let Pass { mode, role, .. } = *self;
        let left = self.samples - self.first;
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
        Poll::Ready(Ok(steps))
    }

    /// The outcome of the first submission in flight, if it is done. Does not wait.
    ///
    /// # Errors
    /// If the device is lost or reported a fault.
    pub fn try_wait(&mut self, session: &mut Session) -> Result<Option<Landed>> {
        let Some(flight) = self.flights.front_mut() else { return Ok(None) };
        match flight.try_wait().transpose() {
            Some(bytes) => self.land(session, bytes),
            None => Ok(None),
        }
    }

    /// The outcome of the first submission in flight, once it is done; none if there is no submission.
    ///
    /// # Errors
    /// As [`Pass::try_wait`].
    pub fn poll_landed(&mut self, session: &mut Session, task: &mut Context<'_>) -> Poll<Result<Option<Landed>>> {
        let Some(flight) = self.flights.front_mut() else { return Poll::Ready(Ok(None)) };
        let bytes = ready!(flight.poll(task));
        Poll::Ready(self.land(session, bytes))
    }

    /// The outcome of the next submission; none after the last. Meanwhile keeps the maximum number of submissions in
    /// flight, if `more` may follow.
    ///
    /// # Errors
    /// As [`Pass::poll_submit`] and [`Pass::try_wait`].
    pub fn poll_next(
        &mut self,
        session: &mut Session,
        more: bool,
        task: &mut Context<'_>,
    ) -> Poll<Result<Option<Landed>>> {
        while more && self.flights.len() < IN_FLIGHT {
            match self.poll_submit(session, MOST_STEPS, task)? {
                Poll::Ready(0) => break,
                Poll::Ready(_) => {
                    if let Some(landed) = self.try_wait(session)? {
                        return Poll::Ready(Ok(Some(landed)));
                    }
                }
                Poll::Pending if self.flights.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        self.poll_landed(session, task)
    }

    /// As [`Pass::poll_next`].
    ///
    /// # Errors
    /// As [`Pass::poll_next`].
    pub async fn next(&mut self, session: &mut Session, more: bool) -> Result<Option<Landed>> {
        poll_fn(|task| self.poll_next(session, more, task)).await
    }

    /// Completes the first submission in flight. If it was short, the next submission of its program runs more steps.
    fn land(&mut self, session: &mut Session, bytes: Result<Vec<u8>>) -> Result<Option<Landed>> {
        let Some(flight) = self.flights.pop_front() else { return Ok(None) };
        let Flight { submitted, batch, shards, steps, .. } = flight;
        let bytes = bytes?;
        let began = self.last_done.map_or(submitted, |done| done.max(submitted));
        let done = Instant::now();
        self.last_done = Some(done);
        let fixed = session.compiled().and_then(|compiled| compiled.steps_per_execution).is_some();
        if session.shards(self.mode, batch).is_none()
            && let Some(ready) = session.programs.get(Key::whole(self.mode, self.role, batch))
            && !fixed
            && steps == ready.steps
            && done - began < SHORT
        {
            ready.steps = (steps * 2).min(MOST_STEPS);
        }
        Ok(Some(Landed { batch, shards, bytes }))
    }
}

/// Submits the next steps of a program over whole batches, starting at sample `first` and at most `most`, and returns their
/// number.
fn run(session: &mut Session, key: Key, first: usize, most: usize) -> Result<(Box<dyn Pending>, usize)> {
    let count = session.ready(key)?.steps.min(most);
    let steps = session.steps(key.mode, first, key.size, count);
    let (row, row_bytes) = (steps.first().map_or(0, |step| step.row), session.row_bytes());
    let (offset, bytes) = (u64::from(row) * row_bytes, count as u64 * row_bytes);
    let buffer = Persistent::Metrics.of(&session.buffers).cloned();
    let read_back = buffer.as_ref().map(|buffer| ReadBack { buffer, offset, bytes });
    Ok((session.ready(key)?.program.run(&steps, read_back)?, count))
}
