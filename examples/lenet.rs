//! Trains LeNet on a part of MNIST for two epochs, saves it, loads it and compares.
//!
//! `cargo run --release --example lenet`
//!
//! Needs MNIST: `kiln data mnist`.

use kiln::losses::CategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Model, data, models};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::best()?;
    println!("{}", device.info().name);
    let (train, test) = data::mnist(data::folder("mnist")?)?;
    let (train, test) = (train.head(6_400), test.head(1_000));

    let mut model = models::lenet([28, 28, 1], 10);
    println!("{}", model.summary());
    let loss = CategoricalCrossentropy::default().into();
    model.compile(&device, Compile { optimizer: Adam::default().into(), loss, ..Default::default() })?;
    let history = model.fit(&train, Fit { epochs: 2, batch_size: 128, validation_split: 0.2, ..Default::default() })?;
    for epoch in &history.epochs {
        println!("epoch {}: {epoch}", epoch.epoch);
    }
    println!("{} test images: {}", test.len(), model.evaluate(&test)?);

    model.save("runs/example")?;
    history.save("runs/example")?;
    let mut again = Model::load("runs/example")?;
    again.compile(&device, Compile::default())?;
    println!("loaded: the same predictions: {}", again.predict(&test)?.values == model.predict(&test)?.values);
    Ok(())
}
