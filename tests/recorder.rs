//! A device that records plans without computing anything.

use std::any::Any;
use std::sync::{Arc, Mutex};

use kiln::graph::{
    Device, DeviceBuffer, DeviceError, DeviceInfo, DeviceKind, Limits, Pending, Plan, Program, ReadBack, Step,
};

#[derive(Debug)]
pub struct Recorder {
    info: DeviceInfo,
    plans: Mutex<Vec<Plan>>,
}

impl Recorder {
    pub fn new(limits: Limits) -> Recorder {
        let (name, backend, driver) = ("recorder".to_owned(), "none".to_owned(), String::new());
        let info = DeviceInfo { name, backend, driver, kind: DeviceKind::Other, limits };
        Recorder { info, plans: Mutex::default() }
    }

    /// The plans of its programs, in order.
    pub fn plans(&self) -> Vec<Plan> {
        self.plans.lock().unwrap().clone()
    }
}

impl Device for Recorder {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, _: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        Ok(Arc::new(Zeros(bytes)))
    }

    fn program(&self, plan: &Plan, _: &[Arc<dyn DeviceBuffer>]) -> Result<Box<dyn Program>, DeviceError> {
        self.plans.lock().unwrap().push(plan.clone());
        Ok(Box::new(Nothing))
    }
}

#[derive(Debug)]
struct Nothing;

impl Program for Nothing {
    fn run(&mut self, _: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        Ok(Box::new(Zeros(read_back.map_or(0, |range| range.bytes))))
    }
}

/// A buffer of zeros.
#[derive(Debug)]
struct Zeros(u64);

impl Pending for Zeros {
    fn poll(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(Some(vec![0; self.0 as usize]))
    }

    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        Ok(vec![0; self.0 as usize])
    }
}

impl DeviceBuffer for Zeros {
    fn bytes(&self) -> u64 {
        self.0
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn read(&self, _: u64, bytes: u64) -> Result<Vec<u8>, DeviceError> {
        Ok(vec![0; bytes as usize])
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
