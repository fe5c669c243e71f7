//! The order of a plan's calls. A call waits for previous calls if it writes a buffer that they use, or uses one that
//! they write; adjacent independent calls run concurrently.

use crate::{Access, PlannedCall};

/// Keeps the order of the calls, each in its own group.
pub(crate) fn one_by_one(calls: Vec<PlannedCall>) -> Vec<(usize, PlannedCall)> {
    calls.into_iter().enumerate().collect()
}

/// Reorders the calls to minimise waits, with the group of each: the calls of a group are independent, so none waits
/// for another. Each call is in the earliest group after its dependencies. Only calls without dependencies (except
/// parameters) are in the latest possible group, because their outputs occupy memory.
pub(crate) fn side_by_side(calls: Vec<PlannedCall>) -> Vec<(usize, PlannedCall)> {
    let mut groups = Groups::default();
    let mut grouped: Vec<(usize, PlannedCall)> = calls.into_iter().map(|call| (groups.place(&call, 0), call)).collect();
    // For each buffer, the first group of the later calls that use it, and of those that write it.
    let mut first: Vec<[usize; 2]> = vec![[usize::MAX; 2]; groups.free_for.len()];
    for (group, call) in grouped.iter_mut().rev() {
        let own = *group;
        if own == 0 {
            let depend = uses(call).map(|(buffer, access)| first[buffer][usize::from(access != Access::ReadWrite)]);
            let awaited = depend.min().filter(|&group| group != usize::MAX);
            *group = awaited.map_or(0, |group| group.saturating_sub(1));
        }
        for (buffer, access) in uses(call) {
            let [used, written] = &mut first[buffer];
            *used = (*used).min(own);
            if access == Access::ReadWrite {
                *written = (*written).min(own);
            }
        }
    }
    grouped.sort_by_key(|(group, _)| *group);
    grouped
}

fn uses(call: &PlannedCall) -> impl Iterator<Item = (usize, Access)> {
    call.kernel.bindings.iter().zip(&call.arguments).map(|(binding, argument)| (argument.buffer, binding.access))
}

/// The number of waits of these calls in this order.
pub(crate) fn waits(calls: &[PlannedCall]) -> usize {
    let mut groups = Groups::default();
    calls.iter().fold(0, |group, call| groups.place(call, group))
}

/// The groups of each buffer's last uses.
#[derive(Default)]
struct Groups {
    /// For each buffer, the first group that may read it and the first that may write it.
    free_for: Vec<[usize; 2]>,
}

impl Groups {
    /// The first group, not before `earliest`, that a call can be in.
    fn place(&mut self, call: &PlannedCall, earliest: usize) -> usize {
        let buffers = uses(call).map(|(buffer, _)| buffer + 1).max().unwrap_or(0);
        self.free_for.resize(self.free_for.len().max(buffers), [0; 2]);
        let group = uses(call).map(|(buffer, access)| self.free_for[buffer][usize::from(access == Access::ReadWrite)]);
        let group = group.fold(earliest, usize::max);
        for (buffer, access) in uses(call) {
            let [reads, writes] = &mut self.free_for[buffer];
            *writes = (*writes).max(group + 1);
            if access == Access::ReadWrite {
                *reads = (*reads).max(group + 1);
            }
        }
        group
    }
}
