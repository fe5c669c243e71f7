//! The order of a plan's calls. A device makes a call wait for the ones before it where it writes a buffer that they use, or
//! uses one that they write; calls that do not depend on each other run at the same time where they stand side by side.

use crate::{Access, PlannedCall};

/// The calls in the order in which they are given, each a group of its own.
pub(crate) fn one_by_one(calls: Vec<PlannedCall>) -> Vec<(usize, PlannedCall)> {
    calls.into_iter().enumerate().collect()
}

/// The calls in an order in which few have to wait, with the group of each: the calls of a group do not depend on each other,
/// so none waits for another. Each stands behind those that it depends on, in as early a group as it can. Only those that
/// depend on none before them (on parameters alone) stand as late as they can, for what they give takes up memory.
pub(crate) fn side_by_side(calls: Vec<PlannedCall>) -> Vec<(usize, PlannedCall)> {
    let mut groups = Groups::default();
    let mut grouped: Vec<(usize, PlannedCall)> = calls.into_iter().map(|call| (groups.place(&call, 0), call)).collect();
    // Of each buffer, the first groups of the calls behind that use it, and of those that write it.
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

/// How many times a call of these, in this order, has to wait for those before it.
pub(crate) fn waits(calls: &[PlannedCall]) -> usize {
    let mut groups = Groups::default();
    calls.iter().fold(0, |group, call| groups.place(call, group))
}

/// For each buffer, the groups that it was used in last.
#[derive(Default)]
struct Groups {
    /// Of each buffer, the first group that may read it and the first that may write it.
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
