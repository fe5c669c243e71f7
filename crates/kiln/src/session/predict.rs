//! Concurrent predictions.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_graph::{Pending, ReadBack, block_on};

use super::names::Persistent;
use super::programs::Key;
use super::stream::Chunks;
use super::{IN_FLIGHT, Mode, Outputs, Role, Session, resident};
use crate::data::Dataset;
use crate::{Error, Result, memory};

/// The locked session. Ignores poisoning: the next call does not rely on the state of a prediction that panicked.
pub(crate) fn locked(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The values of each output for all samples of a data set, concatenated. The session is not locked while the device computes or
/// compiles, so several callers can predict concurrently.
///
/// # Errors
/// If the data set does not fit the model, or a program cannot be compiled or run.
pub(crate) async fn predict(session: &Mutex<Session>, data: &Dataset) -> Result<Vec<Vec<f32>>> {
    let (batch, elements) = locked(session).prediction_size(data)?;
    let reserved = |elements: usize| {
        let count = data.len().saturating_mul(elements);
        memory::with_capacity(count).map_err(|_| Error::Memory {
            what: format!("{} predictions", data.len()),
            bytes: count as u64 * 4,
            free: memory::free(),
        })
    };
    let mut values: Vec<Vec<f32>> = elements.into_iter().map(reserved).collect::<Result<_>>()?;
    let mut chunks = Chunks::of(data, batch);
    let mut flights = VecDeque::with_capacity(IN_FLIGHT);
    loop {
        while flights.len() < IN_FLIGHT
            && let Some(chunk) = chunks.next().await?
        {
            flights.push_back((submit(session, data, &chunk).await?, chunk.len()));
        }
        let Some((flight, batch)) = flights.pop_front() else { return Ok(values) };
        let bytes = flight.await?;
        let outputs = Outputs::of(locked(session).network(), batch);
        values.iter_mut().zip(outputs.values(&bytes)).for_each(|(values, batch)| values.extend(batch));
    }
}

/// Submits the prediction of a chunk of a data set. Concurrent predictions use the same buffers: each chunk is written and
/// submitted under one lock, and chunks reach the device in the order of their submissions.
async fn submit(session: &Mutex<Session>, data: &Dataset, chunk: &Dataset) -> Result<Box<dyn Pending>> {
    let key = prediction(chunk.len());
    let (compilation, slot_bytes, reallocations) = {
        let session = &mut *locked(session);
        session.prepare_predictions(data)?;
        match session.programs.get(key) {
            Some(_) => return session.run_prediction(chunk),
            None => {
                let (preparation, slot_bytes) = session.preparation(key)?;
                (preparation.program(), slot_bytes, session.prediction_data)
            }
        }
    };
    let program = compilation.await?;
    let session = &mut *locked(session);
    if session.prediction_data == reallocations {
        session.keep(key, program, slot_bytes);
        return session.run_prediction(chunk);
    }
    // Meanwhile a prediction of other data has replaced the buffers. The kernels are compiled now, so this takes no time.
    session.prepare_predictions(data)?;
    if session.programs.get(key).is_none() {
        let (preparation, slot_bytes) = session.preparation(key)?;
        let program = block_on(preparation.program())?;
        session.keep(key, program, slot_bytes);
    }
    session.run_prediction(chunk)
}

/// The program for predictions of this many samples.
fn prediction(size: usize) -> Key {
    Key::whole(Mode::Predict, Role::Predict, size)
}

impl Session {
    /// Writes a chunk to the device and runs the program of its size.
    ///
    /// # Errors
    /// If the device is lost.
    fn run_prediction(&mut self, chunk: &Dataset) -> Result<Box<dyn Pending>> {
        let key = prediction(chunk.len());
        resident::write_data(chunk, key.role, &self.buffers)?;
        let steps = self.steps(key.mode, 0, key.size, 1);
        let bytes = Outputs::of(&self.network, key.size).bytes;
        let buffer = Persistent::Predictions.of(&self.buffers).cloned();
        let read_back = buffer.as_ref().map(|buffer| ReadBack { buffer, offset: 0, bytes });
        Ok(self.ready(key)?.program.run(&steps, read_back)?)
    }
}
