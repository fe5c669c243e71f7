//! The program cache of a session, with least-recently-used eviction.

use kiln_graph::{Buffers, Program};

use super::{Mode, Role};

/// The capacity, without programs that apply gradients, which are small. A `fit` with validation needs four:
/// training and evaluation, each with a smaller last batch; six if batches have shards of two sizes.
const MOST: usize = 8;

/// The key of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub mode: Mode,
    /// The data set it reads.
    pub role: Role,
    /// The number of samples it computes.
    pub size: usize,
    /// The number of samples of the whole batch, of which these may be a shard.
    pub whole: usize,
}

impl Key {
    /// The key for batches without shards.
    pub fn whole(mode: Mode, role: Role, size: usize) -> Key {
        Key { mode, role, size, whole: size }
    }
}

/// A program for batches of one size, and its number of steps per submission.
#[derive(Debug)]
pub(super) struct Ready {
    pub program: Box<dyn Program>,
    pub steps: usize,
    /// Its memory beside the persistent buffers, in bytes.
    pub slot_bytes: u64,
}

/// Programs, the least recently used first.
#[derive(Debug, Default)]
pub(super) struct Programs(Vec<(Key, Ready)>);

impl Programs {
    /// The program of a key, if cached; marks it as most recently used.
    pub fn get(&mut self, key: Key) -> Option<&mut Ready> {
        let place = self.0.iter().position(|(kept, _)| *kept == key)?;
        self.0[place..].rotate_left(1);
        self.0.last_mut().map(|(_, ready)| ready)
    }

    /// Stores a new program. Drops the least recently used ones while there are more than [`MOST`], or while the slots need
    /// more than twice the memory of the largest program: several programs of growing batches share few slots.
    pub fn insert(&mut self, key: Key, ready: Ready, buffers: &Buffers) {
        self.0.push((key, ready));
        let too_large = |kept: &[(Key, Ready)]| {
            let largest = kept.iter().map(|(_, ready)| ready.slot_bytes).max().unwrap_or_default();
            buffers.slot_bytes() > 2 * largest
        };
        let too_many = |kept: &[(Key, Ready)]| kept.iter().filter(|(key, _)| key.mode != Mode::Apply).count() > MOST;
        while self.0.len() > 1 && (too_many(&self.0) || too_large(&self.0)) {
            self.0.remove(0);
        }
    }

    /// Keeps only the programs whose key satisfies a predicate.
    pub fn retain(&mut self, keep: impl Fn(Key) -> bool) {
        self.0.retain(|(key, _)| keep(*key));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use kiln_graph::{DeviceError, Pending, Plan, PlanBuffer, ReadBack, Step};

    use super::*;
    use crate::Device;

    #[derive(Debug)]
    struct Nothing;

    impl Program for Nothing {
        fn run(&mut self, _: &[Step], _: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
            panic!("nothing runs here")
        }
    }

    fn key(batch: usize) -> Key {
        Key::whole(Mode::Train, Role::Train, batch)
    }

    fn buffers() -> Buffers {
        Buffers::new(Device::cpu().unwrap().as_dyn().clone())
    }

    /// A program that needs a slot of this size.
    fn with_slot(buffers: &mut Buffers, slot_bytes: u64) -> Ready {
        let plan = Plan { buffers: vec![PlanBuffer { name: None, bytes: slot_bytes }], ..Plan::default() };
        Ready { program: buffers.program(&plan).unwrap(), steps: 1, slot_bytes }
    }

    #[test]
    fn the_most_recently_used_programs_are_kept() {
        let (mut programs, buffers) = (Programs::default(), buffers());
        for batch in 0..100 {
            programs.insert(key(batch), Ready { program: Box::new(Nothing), steps: 1, slot_bytes: 0 }, &buffers);
            assert!(programs.get(key(0)).is_some(), "used again and again");
        }
        let kept: Vec<usize> = (0..100).filter(|&batch| programs.get(key(batch)).is_some()).collect();
        assert_eq!(kept, [0, 93, 94, 95, 96, 97, 98, 99]);
    }

    #[test]
    fn a_program_that_applies_gradients_takes_no_place_of_another() {
        let (mut programs, buffers) = (Programs::default(), buffers());
        let nothing = || Ready { program: Box::new(Nothing), steps: 1, slot_bytes: 0 };
        (0..MOST).for_each(|batch| programs.insert(key(batch), nothing(), &buffers));
        programs.insert(Key::whole(Mode::Apply, Role::Train, 0), nothing(), &buffers);
        assert!((0..MOST).all(|batch| programs.get(key(batch)).is_some()));
    }

    #[test]
    fn slots_take_at_most_twice_what_the_largest_program_needs() {
        let (mut programs, mut buffers) = (Programs::default(), buffers());
        for batch in 1..=50 {
            let ready = with_slot(&mut buffers, 1000 * batch as u64);
            programs.insert(key(batch), ready, &buffers);
            assert!(buffers.slot_bytes() <= 2000 * batch as u64, "{} bytes after {batch}", buffers.slot_bytes());
        }
        let small = with_slot(&mut buffers, 10);
        programs.insert(key(51), small, &buffers);
        assert!(programs.get(key(50)).is_some() && programs.get(key(51)).is_some(), "the small one lies in a slot");
        programs.retain(|_| false);
        assert_eq!(buffers.slot_bytes(), 0);
    }
}
