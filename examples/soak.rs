//! Trains a small network for very many steps, with a validation and a checkpoint after every epoch, and prints the
//! memory at the start and the end of each: the process's resident set, the model's buffers on the device and, with
//! wgpu, the allocations of wgpu's allocator. Memory that keeps growing with the number of epochs is a leak; growth of
//! the first column alone is the driver's.
//!
//! `cargo run --release --example soak -- [STEPS [STEPS_PER_EPOCH]]`, 20,000 and 400 by default
//!
//! Needs some minutes.

use std::ops::ControlFlow;
use std::sync::Arc;

use kiln::callbacks::Callback;
use kiln::data::{Dataset, Labels};
use kiln::graph::DeviceKind;
use kiln::layers::{Activation, Conv2D, Dense, Dropout, Flatten, MaxPooling2D};
use kiln::{Compile, Device, EpochLogs, Fit, Model, Result, Sequential};
use kiln_gpu::{GpuDevice, Options, Selector};

const BATCH: usize = 16;

/// Prints the memory in KiB.
struct Memory {
    gpu: Option<GpuDevice>,
    checkpoint: std::path::PathBuf,
}

impl Memory {
    /// The resident set, the buffers, and the size and number of the allocations of wgpu's allocator.
    fn line(&self, model: &Model) -> String {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
        let report = self.gpu.as_ref().and_then(|gpu| gpu.wgpu_device().generate_allocator_report());
        let wgpu = report.map_or("-".to_owned(), |report| {
            format!("{} in {}", report.total_allocated_bytes / 1024, report.allocations.len())
        });
        format!("{:8} {:8} {wgpu:>14}", pages * 4, model.device_bytes() / 1024)
    }
}

impl Callback for Memory {
    fn on_epoch_begin(&mut self, model: &mut Model, epoch: usize, _: usize) -> Result<ControlFlow<()>> {
        print!("{epoch:5}  {}", self.line(model));
        Ok(ControlFlow::Continue(()))
    }

    fn on_checkpoint(&mut self, model: &mut Model, logs: &EpochLogs) -> Result<()> {
        model.save_checkpoint(&self.checkpoint)?;
        println!("  | {}  loss {:.4}", self.line(model), logs.loss);
        Ok(())
    }
}

/// `count` images of noise with a bright quarter, whose position is the class.
fn quarters(count: usize) -> Result<Dataset> {
    let bright = |image: usize, i: usize| (i / 12 / 6) * 2 + i % 12 / 6 == image % 4;
    let value = |i: usize| ((i * 2_654_435_761) >> 7) as u8 / 4 + if bright(i / 144, i % 144) { 150 } else { 0 };
    let labels = Labels::index((0..count as u32).map(|image| image % 4).collect(), 4);
    Ok(Dataset::from_u8([12, 12, 1], (0..count * 144).map(value).collect(), labels)?)
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|number| number.parse::<usize>());
    let steps = numbers.next().transpose()?.unwrap_or(20_000);
    let per_epoch = numbers.next().transpose()?.unwrap_or(400);
    let mut device = Device::best()?;
    let gpu = match device.info().kind {
        DeviceKind::Cpu => None,
        _ => Some(GpuDevice::open(&Selector::Name(device.info().name.clone()), Options::default())?),
    };
    if let Some(gpu) = &gpu {
        device = Device::from_dyn(Arc::new(gpu.clone()));
    }
    println!("{}; KiB: resident, buffers, wgpu's allocations | at the end of the epoch", device.info().name);

    let mut model = Sequential::new([12, 12, 1]).with_name("soak");
    model
        .add(Conv2D::new(8, [3, 3]).activation(Activation::Relu))
        .add(MaxPooling2D::new([2, 2]))
        .add(Dropout::new(0.25));
    model.add(Flatten).add(Dense::new(4).activation(Activation::Softmax));
    model.compile(&device, Compile::default())?;
    let (train, validation) = (quarters(per_epoch * BATCH - 3)?, quarters(333)?);
    let folder = tempfile::tempdir()?;
    let mut memory = Memory { gpu, checkpoint: folder.path().join("checkpoint.safetensors") };
    let (epochs, validation_data) = (steps.div_ceil(per_epoch), Some(&validation));
    let fit = Fit { epochs, batch_size: BATCH, validation_data, ..Fit::default() };
    model.fit_with_callbacks(&train, fit, &mut [&mut memory])?;
    Ok(())
}
