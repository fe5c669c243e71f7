//! The time of each kernel call of a training step.

use kiln_graph::{CallTime, Profile, Step};

use super::programs::Key;
use super::{Mode, Resident, Role, Session, resident};
use crate::Result;

impl Session {
    /// Trains for this many steps, cycling over the batches of the data set, and times each call.
    ///
    /// # Errors
    /// If planning fails, or the device cannot time its calls or is lost.
    pub fn profile(&mut self, role: Role, batch: usize, count: usize) -> Result<Profile> {
        self.change_data(role);
        let mut samples = self.resident.get(&role).map_or(0, Resident::samples);
        if let Some(reader) = self.reader(role, batch)? {
            let chunk = reader.first()?;
            resident::write_data(&chunk, role, &self.buffers)?;
            samples = chunk.len();
        }
        let batches = (samples / batch).max(1);
        let first = |step: usize| step % batches * batch;
        if let Some(shards) = self.shards(Mode::Train, batch) {
            return self.profile_shards(role, batch, shards, (0..count).map(first));
        }
        let plan = self.plan(Key::whole(Mode::Train, role, batch))?;
        let steps: Vec<Step> = (0..count).flat_map(|step| self.steps(Mode::Train, first(step), batch, 1)).collect();
        Ok(self.buffers.profile(&plan, &steps)?)
    }

    /// As above for batches computed in shards: the calls of each program, with their time in all runs of a step.
    fn profile_shards(
        &mut self,
        role: Role,
        batch: usize,
        shards: usize,
        firsts: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Profile> {
        let keys = self.keys(Mode::Train, role, batch);
        let plans = keys.iter().map(|&key| self.plan(key)).collect::<Result<Vec<_>>>()?;
        // The first of several steps is a warm-up.
        let warm_up = usize::from(firsts.len() > 1);
        let measured = (firsts.len() - warm_up).max(1) as f64;
        let mut found: Vec<Option<Profile>> = vec![None; keys.len()];
        for (step, first) in firsts.enumerate() {
            for run in self.runs(Mode::Train, role, first, batch, shards) {
                let Some(index) = keys.iter().position(|&key| key == run.key) else { continue };
                for shard in run.steps {
                    let profile = self.buffers.profile(&plans[index], &[shard])?;
                    if step >= warm_up {
                        add(&mut found[index], profile);
                    }
                }
            }
        }
        let mut whole: Option<Profile> = None;
        for profile in found.into_iter().flatten() {
            match &mut whole {
                Some(whole) => whole.calls.extend(profile.calls),
                None => whole = Some(profile),
            }
        }
        let mut whole = whole.unwrap_or(Profile { timing: kiln_graph::Timing::WallClock, calls: Vec::new() });
        whole.calls.iter_mut().for_each(|call| {
            call.seconds /= measured;
            call.flops = (call.flops as f64 / measured) as u64;
            call.bytes = (call.bytes as f64 / measured) as u64;
        });
        Ok(whole)
    }
}

/// Adds the time and the work of each call.
fn add(sum: &mut Option<Profile>, profile: Profile) {
    let Some(sum) = sum else {
        *sum = Some(profile);
        return;
    };
    for (sum, CallTime { seconds, flops, bytes, .. }) in sum.calls.iter_mut().zip(profile.calls) {
        sum.seconds += seconds;
        sum.flops += flops;
        sum.bytes += bytes;
    }
}
