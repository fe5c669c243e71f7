//! The order of a plan's calls. A device makes a call wait for the ones before it where it writes a buffer that they use, or
//! uses one that they write; calls that do not depend on each other run at the same time where they stand side by side.

use crate::{Access, PlannedCall};

/// The calls in an order in which few have to wait: each stands behind those that it depends on, in as early a group of
/// calls without a wait between them as it can.
pub(crate) fn side_by_side(calls: Vec<PlannedCall>) -> Vec<PlannedCall> {
    let mut groups = Groups::default();
    let mut grouped: Vec<(usize, PlannedCall)> = calls.into_iter().map(|call| (groups.place(&call, 0), call)).collect();
    grouped.sort_by_key(|(group, _)| *group);
    grouped.into_iter().map(|(_, call)| call).collect()
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
        let uses = || call.kernel.bindings.iter().zip(&call.arguments).map(|(binding, at)| (at.buffer, binding.access));
        let buffers = uses().map(|(buffer, _)| buffer + 1).max().unwrap_or(0);
        self.free_for.resize(self.free_for.len().max(buffers), [0; 2]);
        let group = uses().map(|(buffer, access)| self.free_for[buffer][usize::from(access == Access::ReadWrite)]);
        let group = group.fold(earliest, usize::max);
        for (buffer, access) in uses() {
            let [reads, writes] = &mut self.free_for[buffer];
            *writes = (*writes).max(group + 1);
            if access == Access::ReadWrite {
                *reads = (*reads).max(group + 1);
            }
        }
        group
    }
}
