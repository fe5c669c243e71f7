//! The buffers of a model on one device.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::plan::READ_PAST;
use crate::{Device, DeviceBuffer, DeviceError, Pending, Plan, Profile, Program, ReadBack, Step, block_on};

/// The buffers of a model on one device, shared by its programs: persistent ones by name, and slots, which hold nothing
/// between two runs. A slot lives as long as a program uses it.
#[derive(Debug)]
pub struct Buffers {
    device: Arc<dyn Device>,
    named: HashMap<String, Arc<dyn DeviceBuffer>>,
    slots: Vec<Weak<dyn DeviceBuffer>>,
}

/// A program and the buffers it uses.
#[derive(Debug)]
struct Prepared {
    program: Box<dyn Program>,
    /// Kept for [`Buffers::slots_of`], which sees by their counts which slots are in use.
    _buffers: Vec<Arc<dyn DeviceBuffer>>,
}

impl Program for Prepared {
    fn run(&mut self, steps: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        self.program.run(steps, read_back)
    }
}

/// A plan and its buffers, to be compiled without holding on to [`Buffers`].
#[derive(Debug)]
pub struct Preparation {
    device: Arc<dyn Device>,
    plan: Plan,
    buffers: Vec<Arc<dyn DeviceBuffer>>,
}

impl Preparation {
    /// Compiles the plan.
    ///
    /// # Errors
    /// As [`Device::program_async`].
    pub async fn program(self) -> Result<Box<dyn Program>, DeviceError> {
        let program = self.device.program_async(&self.plan, &self.buffers).await?;
        Ok(Box::new(Prepared { program, _buffers: self.buffers }))
    }
}

impl Buffers {
    /// Creates an empty set of buffers.
    pub fn new(device: Arc<dyn Device>) -> Buffers {
        Buffers { device, named: HashMap::new(), slots: Vec::new() }
    }

    /// The persistent buffer of this name, made on first use and then as large as it was made: `bytes` and
    /// [`READ_PAST`](crate::READ_PAST) more.
    ///
    /// # Errors
    /// If memory runs out, or [`DeviceError::Invalid`] when the buffer is there and smaller.
    pub fn named(&mut self, name: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        if let Some(buffer) = self.named.get(name) {
            if buffer.bytes() < bytes {
                let message = format!("buffer `{name}` has {} bytes, the plan needs {bytes}", buffer.bytes());
                return Err(DeviceError::Invalid { device: self.device.info().name.clone(), message });
            }
            return Ok(buffer.clone());
        }
        let buffer = self.device.allocate(name, bytes.next_multiple_of(16) + READ_PAST)?;
        self.named.insert(name.to_owned(), buffer.clone());
        Ok(buffer)
    }

    /// The persistent buffer of this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn DeviceBuffer>> {
        self.named.get(name)
    }

    /// Inserts a buffer under a name, replacing any other. Existing programs keep the old one. The buffer must be
    /// [`READ_PAST`](crate::READ_PAST) bytes longer than its content.
    pub fn insert(&mut self, name: &str, buffer: Arc<dyn DeviceBuffer>) {
        self.named.insert(name.to_owned(), buffer);
    }

    /// The memory of all persistent buffers and of the slots in use, in bytes.
    pub fn bytes(&self) -> u64 {
        self.named.values().map(|buffer| buffer.bytes()).sum::<u64>() + self.slot_bytes()
    }

    /// The memory of the slots in use, in bytes.
    pub fn slot_bytes(&self) -> u64 {
        self.slots.iter().filter_map(Weak::upgrade).map(|slot| slot.bytes()).sum()
    }

    /// Finds or allocates the buffers of a plan, which [`Preparation::program`] then compiles. Slots that no program uses
    /// any more are freed first.
    ///
    /// # Errors
    /// As [`Device::allocate`], and when a persistent buffer is smaller than the plan needs.
    pub fn prepare(&mut self, plan: Plan) -> Result<Preparation, DeviceError> {
        let buffers = self.of_plan(&plan)?;
        Ok(Preparation { device: self.device.clone(), plan, buffers })
    }

    /// Compiles a plan over its buffers, and waits.
    ///
    /// # Errors
    /// As [`Buffers::prepare`] and [`Device::program_async`].
    pub fn program(&mut self, plan: &Plan) -> Result<Box<dyn Program>, DeviceError> {
        block_on(self.prepare(plan.clone())?.program())
    }

    /// Runs a plan once per step over its buffers and times its calls. Waits.
    ///
    /// # Errors
    /// As [`Buffers::prepare`] and [`Device::profile_async`].
    pub fn profile(&mut self, plan: &Plan, steps: &[Step]) -> Result<Profile, DeviceError> {
        let buffers = self.of_plan(plan)?;
        self.device.profile(plan, &buffers, steps)
    }

    /// Finds or makes the buffers of a plan, in its order.
    fn of_plan(&mut self, plan: &Plan) -> Result<Vec<Arc<dyn DeviceBuffer>>, DeviceError> {
        let slots = self.slots_of(plan)?;
        let buffers = plan.buffers.iter().zip(slots).map(|(needed, slot)| match slot {
            Some(slot) => Ok(slot),
            None => self.named(needed.name.as_deref().unwrap_or_default(), needed.bytes),
        });
        buffers.collect()
    }

    /// A slot for each buffer of a plan that has no name, by its place: the largest first, each in the smallest slot that
    /// holds it, so that a new one is made only where no assignment would do without.
    fn slots_of(&mut self, plan: &Plan) -> Result<Vec<Option<Arc<dyn DeviceBuffer>>>, DeviceError> {
        self.slots.retain(|slot| slot.strong_count() > 0);
        let mut free: Vec<Arc<dyn DeviceBuffer>> = self.slots.iter().filter_map(Weak::upgrade).collect();
        free.sort_by_key(|slot| slot.bytes());
        let needed = plan.buffers.iter().enumerate().filter(|(_, buffer)| buffer.name.is_none());
        let mut needed: Vec<(usize, u64)> = needed.map(|(index, buffer)| (index, buffer.bytes)).collect();
        needed.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        let mut slots = vec![None; plan.buffers.len()];
        for (index, bytes) in needed {
            let fitting = free.partition_point(|slot| slot.bytes() < bytes);
            slots[index] = Some(if fitting < free.len() {
                free.remove(fitting)
            } else {
                let slot = self.device.allocate(&format!("slot {}", self.slots.len()), bytes)?;
                self.slots.push(Arc::downgrade(&slot));
                slot
            });
        }
        Ok(slots)
    }
}
