//! Times each kernel call of a training step on made-up data: in the order of the step, and summed by kernel.
//!
//! `cargo run --release --example profile -- lenet` (or `cifar`), and `augment` behind it for a usual augmentation.

use kiln::augmentation::Augmentation;
use kiln::data::{Dataset, Labels};
use kiln::{Compile, Device, Fit, Loss, models};

const BATCH: usize = 128;
const STEPS: usize = 21;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut model = match std::env::args().nth(1).as_deref() {
        None | Some("lenet") => models::lenet([28, 28, 1], 10),
        Some("cifar") => models::cifar10_deep([32, 32, 3], 10),
        Some(other) => return Err(format!("expected `lenet` or `cifar`, found `{other}`").into()),
    };
    let shape = model.input_shape().clone();
    let values = (0..BATCH * shape.elements()).map(|i| (i * i % 251) as u8).collect();
    let labels = Labels::index((0..BATCH as u32).map(|i| i % 10).collect(), 10);
    let data = Dataset::from_u8(shape, values, labels)?;

    let device = Device::best()?;
    model.compile(&device, Compile { loss: Loss::SparseCategoricalCrossentropy, ..Compile::default() })?;
    if std::env::args().nth(2).as_deref() == Some("augment") {
        // A profile changes images as the last training did.
        let augmentation = Augmentation {
            rotation_range: 15.0,
            width_shift_range: 0.1.into(),
            height_shift_range: 0.1.into(),
            zoom_range: 0.1.into(),
            horizontal_flip: true,
            ..Augmentation::default()
        };
        model.fit(&data, Fit { batch_size: BATCH, augmentation: Some(&augmentation), ..Fit::default() })?;
    }
    let profile = model.profile(&data, BATCH, STEPS)?;
    let info = device.info();
    println!("{} on {} ({}), batches of {BATCH}, mean of {} steps\n", model.name(), info.name, info.driver, STEPS - 1);
    println!("{profile}\n{}", profile.by_kernel());
    println!("{:.0} images/s in kernels", BATCH as f64 / profile.seconds());
    Ok(())
}
