//! Shared by tests: a device, small data sets, a small model.

use std::path::Path;
use std::sync::OnceLock;

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, DeviceKind};
use kiln::layers::{Activation, Conv2D, Dense, Flatten, MaxPooling2D};
use kiln::ops::Case;
use kiln::{Compile, Device, Model, OpProgram, Sequential, Weight};
use kiln_gpu::{GpuDevice, Options, Selector};

/// The device shared by all tests.
pub fn device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| Device::best().unwrap())
}

/// A single op on a device, with the inputs of a case.
pub fn op_program(case: &Case, device: &Device) -> OpProgram {
    let made = OpProgram::new(device, case.op.clone(), &case.inputs, &case.rewritten);
    made.unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

/// The results of a case on a device.
pub fn run(case: &Case, device: &Device) -> Vec<Array> {
    let mut program = op_program(case, device);
    program.run_in(case.step, 1).unwrap();
    program.results().unwrap()
}

/// A wgpu device: the shared one, reopened, or if that is the processor, the first one.
pub fn gpu() -> GpuDevice {
    let shared = device().info();
    let selector = match shared.kind {
        DeviceKind::Cpu => Selector::Best,
        _ => Selector::Name(format!("{} {}", shared.name, shared.backend)),
    };
    GpuDevice::open(&selector, Options::default())
        .unwrap_or_else(|error| panic!("this test needs a GPU or a software driver: {error}"))
}

/// `n` dark images of 6 x 6 with a bright row, whose position (top, middle, bottom) is the class.
pub fn bars(n: usize) -> Dataset {
    let mut values = Vec::new();
    for sample in 0..n {
        let bright = 2 * (sample % 3) + sample / 3 % 2;
        values.extend((0..36).map(|i| if i / 6 == bright { 200 } else { ((i * 7 + sample * 13) % 60) as u8 }));
    }
    let labels = (0..n).map(|sample| (sample % 3) as u32).collect();
    Dataset::from_u8([6, 6, 1], values, Labels::index(labels, 3)).unwrap()
}

/// A network for [`bars`] without softmax.
pub fn logits() -> Model {
    let mut model = Sequential::new([6, 6, 1]).with_name("bars");
    model
        .add(Conv2D::new(5, [3, 3]).activation(Activation::Relu))
        .add(MaxPooling2D::new([2, 2]))
        .add(Flatten)
        .add(Dense::new(3));
    model
}

/// A network for [`bars`].
pub fn model() -> Model {
    let mut model = Sequential::new([6, 6, 1]).with_name("bars");
    model
        .add(Conv2D::new(5, [3, 3]).activation(Activation::Relu))
        .add(MaxPooling2D::new([2, 2]))
        .add(Flatten)
        .add(Dense::new(3).activation(Activation::Softmax));
    model
}

/// [`model`], compiled.
pub fn compiled() -> Model {
    let mut model = model();
    model.compile(device(), Compile::default()).unwrap();
    model
}

/// The bits of all weights.
pub fn bits(weights: &[Weight]) -> Vec<u32> {
    weights.iter().flat_map(|weight| weight.values.iter().map(|value| value.to_bits())).collect()
}

/// Whether two figures agree up to this share of the second.
pub fn close(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance * expected.abs()
}

/// The largest difference of two lists; infinite if a value is NaN or the lengths differ.
pub fn largest_difference<A: Into<f64> + Copy, B: Into<f64> + Copy>(found: &[A], expected: &[B]) -> f64 {
    if found.len() != expected.len() {
        return f64::INFINITY;
    }
    let differences = found.iter().zip(expected).map(|(&found, &expected)| (found.into() - expected.into()).abs());
    differences.fold(0.0, |largest, off| if off.is_nan() { f64::INFINITY } else { largest.max(off) })
}

/// The values of `made_up` in `peers/regularizers.py` and `peers/constraints.py`, between -1/2 and 1/2.
pub fn made_up(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| (((i * 37 + seed * 53 + 11) % 101) as f64 / 101.0 - 0.5) as f32).collect()
}

/// The sorted names of a folder's entries.
pub fn files(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
