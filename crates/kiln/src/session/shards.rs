//! Gradient accumulation: a training batch is computed shard by shard, and one optimizer step follows.

use std::ops::Range;

use kiln_graph::{Pending, ReadBack, Step};
use kiln_ops::Accumulate;

use super::names::Persistent;
use super::programs::Key;
use super::{Mode, Role, Session};
use crate::Result;
use crate::compile::Compile;

impl Compile {
    /// The number of shards of a training batch.
    pub(crate) fn shards(&self, batch: usize) -> usize {
        self.accumulate.min(batch).max(1)
    }

    /// The size of the largest shard of a training batch, in samples.
    pub(crate) fn largest_shard(&self, batch: usize) -> usize {
        batch.div_ceil(self.shards(batch))
    }

    /// The maximum number of partial gradient sums kept for a batch of any size.
    pub(crate) fn levels(&self) -> u32 {
        Accumulate::levels(self.accumulate)
    }
}

/// The size of each shard of a batch, in order.
fn shards(batch: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).map(move |k| k * batch / count..(k + 1) * batch / count)
}

/// Steps of one program in one submission.
pub(super) struct Run {
    pub key: Key,
    pub steps: Vec<Step>,
}

impl Session {
    /// The number of shards of a batch, if its gradients are accumulated.
    pub(super) fn shards(&self, mode: Mode, batch: usize) -> Option<usize> {
        let trains = matches!(mode, Mode::Train | Mode::Gradients);
        let compiled = self.compiled.as_ref().filter(|compiled| trains && compiled.accumulate > 1)?;
        Some(compiled.shards(batch))
    }

    /// The programs of a batch: those of its shards, largest first, so that others share its slots, and the one that applies
    /// the gradients.
    pub(super) fn keys(&self, mode: Mode, role: Role, batch: usize) -> Vec<Key> {
        let Some(count) = self.shards(mode, batch) else { return vec![Key::whole(mode, role, batch)] };
        let of_shard = |size| Key { mode: Mode::Gradients, role, size, whole: batch };
        let mut keys = vec![of_shard(batch.div_ceil(count))];
        if !batch.is_multiple_of(count) {
            keys.push(of_shard(batch / count));
        }
        if self.applies(mode) {
            keys.push(Key::whole(Mode::Apply, role, 0));
        }
        keys
    }

    /// Whether gradients are applied by a separate program: only if there are any.
    fn applies(&self, mode: Mode) -> bool {
        mode == Mode::Train && self.layout.trainable_len() > 0
    }

    /// The runs of a batch of `count` shards starting at sample `first`.
    pub(super) fn runs(&mut self, mode: Mode, role: Role, first: usize, batch: usize, count: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for step in self.steps(mode, first, batch, 1) {
            for (k, samples) in (0..).zip(shards(batch, count)) {
                let key = Key { mode: Mode::Gradients, role, size: samples.len(), whole: batch };
                let place = samples.start as u32;
                let (shard, shards) = (k, count as u32);
                let step = Step { first: step.first + place, row: step.row + k, place, shard, shards, ..step };
                match runs.last_mut().filter(|run| run.key == key) {
                    Some(run) => run.steps.push(step),
                    None => runs.push(Run { key, steps: vec![step] }),
                }
            }
            if self.applies(mode) {
                runs.push(Run { key: Key::whole(Mode::Apply, role, 0), steps: vec![step] });
            }
        }
        runs
    }

    /// Submits the runs of a batch of `count` shards without waiting. The last reads back a row of metrics per shard. All
    /// programs are looked up before the first run, so that no step is left incomplete.
    ///
    /// # Errors
    /// If a program cannot be run.
    pub(super) fn run_shards(
        &mut self,
        mode: Mode,
        role: Role,
        first: usize,
        batch: usize,
        count: usize,
    ) -> Result<Vec<Box<dyn Pending>>> {
        let runs = self.runs(mode, role, first, batch, count);
        let row_bytes = self.row_bytes();
        let row = runs.first().and_then(|run| run.steps.first()).map_or(0, |step| step.row);
        let metrics = Persistent::Metrics.of(&self.buffers).cloned();
        let (offset, bytes) = (u64::from(row) * row_bytes, count as u64 * row_bytes);
        let mut pending = Vec::with_capacity(runs.len());
        let last = runs.len().saturating_sub(1);
        for (i, Run { key, steps }) in runs.into_iter().enumerate() {
            let read_back = metrics.as_ref().filter(|_| i == last).map(|buffer| ReadBack { buffer, offset, bytes });
            pending.push(self.ready(key)?.program.run(&steps, read_back)?);
        }
        Ok(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_a_batch_evenly_and_in_order() {
        assert_eq!(shards(8, 2).collect::<Vec<_>>(), [0..4, 4..8]);
        assert_eq!(shards(7, 3).collect::<Vec<_>>(), [0..2, 2..4, 4..7]);
        for batch in 1..70 {
            for accumulate in 1..=32 {
                let compile = Compile { accumulate, ..Compile::default() };
                let count = compile.shards(batch);
                let all: Vec<Range<usize>> = shards(batch, count).collect();
                assert_eq!((all.len(), all[0].start, all[count - 1].end), (accumulate.min(batch), 0, batch));
                assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
                let sizes = || all.iter().map(ExactSizeIterator::len);
                assert_eq!(sizes().max(), Some(compile.largest_shard(batch)));
                assert!(sizes().all(|size| size == batch / count || size == batch.div_ceil(count)));
            }
        }
    }
}
