//! One run as a parallel region: all threads walk through the same calls and share the workgroups of each.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kiln_graph::{Fault, OutOfBounds, Step};

use crate::profile::Clock;
use crate::program::ReadyCall;
use crate::team::{Team, wait_until};

/// Chunks per thread, so that threads that start late or are slow still finish at about the same time.
const CHUNKS_PER_THREAD: u64 = 8;

/// The low bits of [`Region::head`]: more than all threads' chunks.
const CHUNK_BITS: u32 = 16;

/// Runs `calls` once per step.
///
/// # Errors
/// The index of the call in which a kernel accessed memory outside a tensor, and where; later calls do not run.
///
/// # Safety
/// Nobody else may use the memory of the calls meanwhile.
pub(crate) unsafe fn run(
    team: &mut Team,
    calls: &[ReadyCall],
    steps: &[Step],
    clock: Option<&Clock>,
) -> Result<(), (usize, OutOfBounds)> {
    let most_chunks = team.threads() as u64 * CHUNKS_PER_THREAD;
    let region = Region {
        calls,
        steps,
        clock,
        most_chunks,
        head: AtomicU64::new(0),
        done: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        fault: Fault::default(),
        failed: OnceLock::new(),
    };
    region.open(0);
    if calls.iter().any(|call| region.chunks(call) > 1) {
        team.run(|| region.work());
    } else {
        region.work();
    }
    match (region.failed.get(), region.fault.found()) {
        (Some(&call), Some(access)) => Err((call, access)),
        _ => Ok(()),
    }
}

struct Region<'a> {
    calls: &'a [ReadyCall],
    steps: &'a [Step],
    clock: Option<&'a Clock>,
    /// The most chunks of a call.
    most_chunks: u64,
    /// The position that is open (`step * calls + call`), and in the low bits the chunk that is taken next.
    head: AtomicU64,
    /// The number of finished chunks of the open call.
    done: AtomicU64,
    /// Whether no call follows the open one.
    stopped: AtomicBool,
    fault: Fault,
    /// The index of the call that reported the fault.
    failed: OnceLock<usize>,
}

impl Region<'_> {
    /// The loop of every thread until all calls are done.
    fn work(&self) {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let (position, index) = (head >> CHUNK_BITS, head & ((1 << CHUNK_BITS) - 1));
            let Some((call, step)) = self.at(position) else { return };
            if index >= self.chunks(call) {
                wait_until(|| self.head.load(Ordering::Acquire) >> CHUNK_BITS != position);
            } else if self.head.compare_exchange_weak(head, head + 1, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                let _chunk = Chunk { region: self, position };
                // SAFETY: `run`'s contract gives the region the memory of its calls, and of those only this one is open.
                unsafe { call.run(step, self.workgroups(call, index), &self.fault) };
            }
        }
    }

    /// Call and step at a position; `None` behind the last.
    fn at(&self, position: u64) -> Option<(&ReadyCall, &Step)> {
        let calls = self.calls.len() as u64;
        let step = self.steps.get(position.checked_div(calls)? as usize)?;
        Some((self.calls.get((position % calls) as usize)?, step))
    }

    /// The number of chunks of a call.
    fn chunks(&self, call: &ReadyCall) -> u64 {
        call.workgroups().min(self.most_chunks)
    }

    /// The workgroups of a chunk.
    fn workgroups(&self, call: &ReadyCall, index: u64) -> Range<u64> {
        let (workgroups, chunks) = (call.workgroups(), self.chunks(call));
        let start = |index: u64| (u128::from(workgroups) * u128::from(index) / u128::from(chunks)) as u64;
        start(index)..start(index + 1)
    }

    /// Opens the first call at or behind `position` that has workgroups.
    fn open(&self, mut position: u64) {
        while self.at(position).is_some_and(|(call, _)| call.workgroups() == 0) {
            position += 1;
        }
        if let Some(clock) = self.clock {
            clock.start();
        }
        self.head.store(position << CHUNK_BITS, Ordering::Release);
    }

    /// Counts a finished chunk of the call at `position`. The last one opens the next call, or none after a fault.
    fn finish(&self, position: u64) {
        let Some((call, _)) = self.at(position) else { return };
        // Acquires the writes of other threads, for the thread that runs the next call.
        if self.done.fetch_add(1, Ordering::AcqRel) + 1 < self.chunks(call) {
            return;
        }
        let index = (position % self.calls.len() as u64) as usize;
        if let Some(clock) = self.clock {
            clock.stop(index);
        }
        self.done.store(0, Ordering::Relaxed);
        if self.fault.found().is_some() {
            // Only one thread reaches this: no other call is opened.
            let _ = self.failed.set(index);
            self.stopped.store(true, Ordering::Relaxed);
        }
        let end = self.calls.len() as u64 * self.steps.len() as u64;
        self.open(if self.stopped.load(Ordering::Relaxed) { end } else { position + 1 });
    }
}

/// A chunk being computed. It counts as finished when dropped, so that no thread waits for one that panicked.
struct Chunk<'a> {
    region: &'a Region<'a>,
    position: u64,
}

impl Drop for Chunk<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.region.stopped.store(true, Ordering::Relaxed);
        }
        self.region.finish(self.position);
    }
}
