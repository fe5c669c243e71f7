//! The devices under test, which must compute the same results, and a call on one of them.

use std::sync::{Arc, OnceLock};

use kiln_cpu::{CpuDevice, Options};
use kiln_gpu::{GpuDevice, Selector};
use kiln_graph::{
    Access, Argument, CallDescriptor, DType, Device, DeviceBuffer, DeviceError, Kernel, Order, Plan, PlanBuffer,
    PlannedCall, Step, TensorType,
};

use crate::inputs::{WORDS, params, words};

/// A processor for each combination of options that must not change results.
pub fn processors() -> &'static [CpuDevice] {
    static DEVICES: OnceLock<Vec<CpuDevice>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = Vec::new();
        for max_lanes in [4, 8, 16] {
            for checked in [true, false] {
                for (threads, order) in [
                    (1, Order::Rising),
                    (3, Order::Rising),
                    (1, Order::Shuffled(7)),
                    (3, Order::Shuffled(12_345)),
                    (1, Order::Shuffled(u64::MAX / 3)),
                ] {
                    devices.push(processor(Options {
                        threads: Some(threads),
                        checked,
                        order,
                        max_lanes,
                        ..Options::default()
                    }));
                }
            }
        }
        devices
    })
}

pub fn processor(options: Options) -> CpuDevice {
    CpuDevice::new(options).unwrap()
}

pub fn gpu() -> &'static GpuDevice {
    static DEVICE: OnceLock<GpuDevice> = OnceLock::new();
    DEVICE.get_or_init(|| {
        GpuDevice::open(&Selector::Best, kiln_gpu::Options::default())
            .unwrap_or_else(|error| panic!("these tests need a GPU or a software driver: {error}"))
    })
}

/// A kernel with a number of workgroups and override values.
#[derive(Clone)]
pub struct Case {
    pub kernel: &'static Kernel,
    pub workgroups: [u32; 3],
    pub overrides: Vec<(&'static str, f64)>,
}

impl Case {
    pub fn new(kernel: &'static Kernel) -> Case {
        let [x, y, z] = kernel.workgroup_size;
        let workgroups = if y * z > 1 { [2, 2, 2] } else { [192_u32.div_ceil(x).min(12), 1, 1] };
        Case { kernel, workgroups, overrides: Vec::new() }
    }

    /// The contents of each binding after a run.
    pub fn run(&self, device: &dyn Device) -> Result<Vec<Vec<u32>>, DeviceError> {
        let count = self.kernel.bindings.len();
        let bytes = 4 * WORDS as u64;
        let argument = |buffer: usize| Argument { buffer, offset: 0, bytes, ty: TensorType::new([WORDS], DType::U32) };
        let buffer = |index: usize| PlanBuffer { name: Some(format!("b{index}")), bytes };
        let call = CallDescriptor {
            scope: "test".to_owned(),
            kernel: self.kernel,
            arguments: (0..count).map(argument).collect(),
            overrides: self.overrides.clone(),
            params: params(self.kernel),
            workgroups: self.workgroups,
            flops: 0,
        };
        // SAFETY: the kernels are not trusted.
        let call = unsafe { PlannedCall::new(call) };
        let plan = Plan { buffers: (0..count).map(buffer).collect(), calls: vec![call], ..Plan::default() };
        let mut buffers: Vec<Arc<dyn DeviceBuffer>> = Vec::new();
        for index in 0..count {
            let buffer = device.allocate("words", bytes)?;
            buffer.write(0, bytemuck::cast_slice(&words(self.kernel, index)))?;
            buffers.push(buffer);
        }
        device.program(&plan, &buffers)?.run(&[Step::default()], None)?.wait()?;
        let written = self.kernel.bindings.iter().zip(&buffers).map(|(binding, buffer)| match binding.access {
            Access::Read => Ok(Vec::new()),
            Access::ReadWrite => Ok(bytemuck::pod_collect_to_vec(&buffer.read(0, bytes)?)),
        });
        written.collect()
    }
}
