//! A device that records plans without computing anything.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use kiln::graph::{
    Device, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, DeviceKind, Done, Limits, Pending, Plan, Program,
    ReadBack, Step,
};
use kiln::{Algorithms, Tune};

/// A device with the given limits that records the plan of each of its programs. Programs do nothing, and every buffer
/// reads as zeros.
#[derive(Debug)]
pub struct Recorder {
    info: DeviceInfo,
    plans: Mutex<Vec<Plan>>,
}

impl Recorder {
    fn new(limits: Limits) -> Recorder {
        let (name, backend, driver) = ("recorder".to_owned(), "none".to_owned(), String::new());
        let info = DeviceInfo { name, backend, driver, kind: DeviceKind::Other, limits };
        Recorder { info, plans: Mutex::default() }
    }

    /// A new recorder, and the device to compile models for: its plans depend on neither `KILN_TUNE` nor
    /// `KILN_ALGORITHMS`.
    pub fn device(limits: Limits) -> (Arc<Recorder>, kiln::Device) {
        let recorder = Arc::new(Recorder::new(limits));
        let device = kiln::Device::from_dyn(recorder.clone());
        (recorder, device.with_tuning(Tune::Off, None).with_algorithms(Algorithms::Fast))
    }

    /// The plans of its programs, in order.
    pub fn plans(&self) -> Vec<Plan> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Device for Recorder {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&self, _: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        Ok(Arc::new(Zeros(bytes)))
    }

    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        _: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner).push(plan.clone());
        Box::pin(async { Ok(Box::new(Nothing) as Box<dyn Program>) })
    }
}

#[derive(Debug)]
struct Nothing;

impl Program for Nothing {
    fn run(&mut self, _: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        Ok(Box::new(Done(vec![0; read_back.map_or(0, |range| range.bytes as usize)])))
    }
}

/// A buffer of zeros.
#[derive(Debug)]
struct Zeros(u64);

impl DeviceBuffer for Zeros {
    fn bytes(&self) -> u64 {
        self.0
    }

    fn write(&self, _: u64, _: &[u8]) -> Result<(), DeviceError> {
        Ok(())
    }

    fn read_async(&self, _: u64, bytes: u64) -> Result<Box<dyn Pending>, DeviceError> {
        Ok(Box::new(Done(vec![0; bytes as usize])))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
