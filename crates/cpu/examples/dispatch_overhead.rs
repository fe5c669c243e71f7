//! The overhead of a run and a dispatch, measured with a plan of calls that do almost nothing.
//!
//! `cargo run --release -p kiln-cpu --example dispatch_overhead`

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use kiln_cpu::{CpuDevice, Options};
use kiln_graph::{
    Access, Argument, Binding, CallDescriptor, Device, DeviceBuffer, DeviceError, Dispatch, Kernel, KernelDescriptor,
    Native, Plan, PlanBuffer, PlannedCall, Step, TensorType,
};

/// Does nothing, in every workgroup.
// SAFETY: no memory is read or written.
static NOTHING: Kernel = unsafe { Kernel::new(DESCRIPTOR).with_native(NATIVE).trusted() };

const NATIVE: Native = Native { overrides: &[], unchecked: nothing, checked: Some(nothing) };

const DESCRIPTOR: KernelDescriptor = KernelDescriptor {
    name: "nothing.main",
    source: "",
    entry_point: "main",
    workgroup_size: [1, 1, 1],
    bindings: &[Binding { name: "x", binding: 0, access: Access::ReadWrite, align: 4 }],
    params: None,
    step: false,
    workgroup_memory: 0,
};

unsafe fn nothing(dispatch: &Dispatch<'_>, range: Range<u64>) {
    std::hint::black_box((dispatch, range));
}

fn plan(calls: usize, workgroups: u32) -> Plan {
    let argument = Argument { buffer: 0, offset: 0, bytes: 4, ty: TensorType::f32([1]) };
    let call = CallDescriptor {
        scope: "example".to_owned(),
        kernel: &NOTHING,
        arguments: vec![argument],
        overrides: Vec::new(),
        params: Vec::new(),
        workgroups: [workgroups, 1, 1],
        flops: 0,
    };
    // SAFETY: the kernel accesses nothing.
    let call = unsafe { PlannedCall::new(call) };
    Plan { buffers: vec![PlanBuffer { name: None, bytes: 4 }], calls: vec![call; calls], ..Plan::default() }
}

/// Microseconds of one run: the median of 301.
fn microseconds(device: &CpuDevice, plan: &Plan) -> Result<f64, DeviceError> {
    let buffers: [Arc<dyn DeviceBuffer>; 1] = [device.allocate("x", 4)?];
    let mut program = device.program(plan, &buffers)?;
    let mut times = Vec::new();
    for _ in 0..301 {
        let start = Instant::now();
        program.run(&[Step::default()], None)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn main() -> Result<(), DeviceError> {
    println!("{:>7} {:>10} {:>12} {:>16}", "threads", "workgroups", "us per run", "us per dispatch");
    for threads in [1, 2, 4] {
        let device = CpuDevice::new(Options { threads: Some(threads), ..Options::default() })?;
        for workgroups in [1, 2, 16, 1000] {
            let (few, many) =
                (microseconds(&device, &plan(1, workgroups))?, microseconds(&device, &plan(1001, workgroups))?);
            println!("{threads:>7} {workgroups:>10} {few:>12.2} {:>16.3}", (many - few) / 1000.0);
        }
    }
    Ok(())
}
