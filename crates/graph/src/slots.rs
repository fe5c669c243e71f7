//! Buffer sharing. A tensor that is not persistent lives from the first group of calls that uses it to the last; before
//! and after, other tensors use its buffer.

use crate::{PlanBuffer, PlannedCall};

/// The lifetime of a buffer in groups, and the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    first: usize,
    last: usize,
    buffer: usize,
}

/// Merges buffers with disjoint lifetimes into slots. Persistent buffers come first; unused ones are removed.
pub(crate) fn share(buffers: Vec<PlanBuffer>, calls: &mut [(usize, PlannedCall)]) -> Vec<PlanBuffer> {
    let mut place = vec![None; buffers.len()];
    let mut slots = Slots::default();
    for (index, buffer) in buffers.iter().enumerate().filter(|(_, buffer)| buffer.name.is_some() && buffer.bytes > 0) {
        place[index] = Some(slots.buffers.len());
        slots.buffers.push(buffer.clone());
    }
    let mut living: Vec<Life> = Vec::new();
    for life in lives(&buffers, calls) {
        living.retain(|earlier| {
            let over = earlier.last < life.first;
            slots.free.extend(place[earlier.buffer].filter(|_| over));
            !over
        });
        place[life.buffer] = Some(slots.take(buffers[life.buffer].bytes));
        living.push(life);
    }
    for argument in calls.iter_mut().flat_map(|(_, call)| call.arguments_mut()) {
        argument.buffer = place[argument.buffer].unwrap_or_default();
    }
    slots.buffers
}

/// The lifetimes of buffers that are not persistent, ordered by start.
fn lives(buffers: &[PlanBuffer], calls: &[(usize, PlannedCall)]) -> Vec<Life> {
    let mut lives: Vec<Option<Life>> = vec![None; buffers.len()];
    for (group, call) in calls {
        for buffer in call.arguments.iter().map(|argument| argument.buffer) {
            let first = lives[buffer].map_or(*group, |life| life.first);
            lives[buffer] = Some(Life { first, last: *group, buffer });
        }
    }
    let mut lives: Vec<Life> = lives.into_iter().flatten().filter(|life| buffers[life.buffer].name.is_none()).collect();
    lives.sort();
    lives
}

#[derive(Default)]
struct Slots {
    buffers: Vec<PlanBuffer>,
    free: Vec<usize>,
}

impl Slots {
    /// The smallest free slot that is large enough, else the largest free one, which grows, else a new one.
    fn take(&mut self, bytes: u64) -> usize {
        let bytes = bytes.max(4);
        let size = |at: &usize| self.buffers[self.free[*at]].bytes;
        let fitting = (0..self.free.len()).filter(|at| size(at) >= bytes).min_by_key(size);
        match fitting.or_else(|| (0..self.free.len()).max_by_key(size)) {
            Some(at) => {
                let slot = self.free.swap_remove(at);
                self.buffers[slot].bytes = self.buffers[slot].bytes.max(bytes);
                slot
            }
            None => {
                self.buffers.push(PlanBuffer { name: None, bytes });
                self.buffers.len() - 1
            }
        }
    }
}
