//! The memory shared by a model's programs, and its lifetime.

use std::any::Any;
use std::sync::Arc;

use kiln_graph::{
    Buffers, Device, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, DeviceKind, Done, Limits, Pending, Plan,
    PlanBuffer, Program, READ_PAST, ReadBack, Step,
};

/// A device whose buffers are only sizes.
#[derive(Debug)]
struct Sizes(DeviceInfo);

impl Device for Sizes {
    fn info(&self) -> &DeviceInfo {
        &self.0
    }

    fn allocate(&self, _: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        Ok(Arc::new(Size(bytes)))
    }

    fn program_async<'a>(&'a self, _: &'a Plan, _: &'a [Arc<dyn DeviceBuffer>]) -> DeviceFuture<'a, Box<dyn Program>> {
        Box::pin(async { Ok(Box::new(Nothing) as Box<dyn Program>) })
    }
}

#[derive(Debug)]
struct Nothing;

impl Program for Nothing {
    fn run(&mut self, _: &[Step], _: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        panic!("nothing runs here")
    }
}

#[derive(Debug)]
struct Size(u64);

impl DeviceBuffer for Size {
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

fn buffers() -> Buffers {
    let (name, backend, driver) = ("sizes".to_owned(), "none".to_owned(), String::new());
    let info = DeviceInfo { name, backend, driver, kind: DeviceKind::Other, limits: Limits::WEBGPU };
    Buffers::new(Arc::new(Sizes(info)))
}

/// A plan with slots of these sizes in bytes.
fn plan(slots: &[u64]) -> Plan {
    let slot = |&bytes: &u64| PlanBuffer { name: None, bytes };
    Plan { buffers: slots.iter().map(slot).collect(), ..Plan::default() }
}

#[test]
fn programs_share_slots_whatever_the_order_of_their_sizes() {
    let mut buffers = buffers();
    let _first = buffers.program(&plan(&[100, 8, 40])).unwrap();
    assert_eq!(buffers.slot_bytes(), 148);
    let _second = buffers.program(&plan(&[30, 7, 90])).unwrap();
    assert_eq!(buffers.slot_bytes(), 148);
    let _third = buffers.program(&plan(&[50, 50])).unwrap();
    assert_eq!(buffers.slot_bytes(), 148 + 50, "one of both fits into no slot but the first");
}

#[test]
fn slots_that_no_program_uses_are_freed() {
    let mut buffers = buffers();
    buffers.named("weights", 1000).unwrap();
    let small = buffers.program(&plan(&[10, 10])).unwrap();
    let large = buffers.program(&plan(&[100, 100, 10])).unwrap();
    assert_eq!(buffers.slot_bytes(), 220);
    drop(small);
    assert_eq!(buffers.slot_bytes(), 210);
    drop(large);
    assert_eq!((buffers.slot_bytes(), buffers.bytes()), (0, 1008 + READ_PAST));
    for bytes in 1..=128 {
        drop(buffers.program(&plan(&[bytes, bytes])).unwrap());
        assert_eq!(buffers.slot_bytes(), 0);
    }
}
