//! Trains one of the two networks for CIFAR-10 with RMSprop and prints its test accuracy.
//!
//! `cargo run --release --example cifar10 -- simple FOLDER [EPOCHS [SEED [keras2] [augment]]]` (or `deep`), where
//! FOLDER has the images as `train/CLASS/*.jpg` and `test/CLASS/*.jpg`; with `keras2`, RMSprop adds epsilon as in Keras
//! 2; with `augment`, images are shifted by up to a tenth and flipped at random.
//!
//! Needs the images.

use std::ops::ControlFlow;

use kiln::augmentation::Augmentation;
use kiln::data::{ImageOptions, image_dataset_from_directory};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::RMSprop;
use kiln::{Callback, Compile, Device, EpochLogs, Fit, Model, models};

/// Prints a line per epoch.
struct Lines;

impl Callback for Lines {
    fn on_epoch_end(&mut self, _: &mut Model, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        println!("epoch {}: {logs} - {:.0} images/s", logs.epoch, logs.images_per_second);
        Ok(ControlFlow::Continue(()))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, folder, rest @ ..] = &arguments[..] else {
        return Err("expected: simple|deep FOLDER [EPOCHS [SEED [keras2] [augment]]]".into());
    };
    let number = |place: usize, default: u64| rest.get(place).map_or(Ok(default), |text| text.parse());
    let (epochs, seed) = (number(0, 20)? as usize, number(1, 0)?);

    let [train, test] =
        ["train", "test"].map(|part| image_dataset_from_directory(format!("{folder}/{part}"), ImageOptions::default()));
    let (train, test) = (train?.rescaled(1.0 / 255.0, 0.0), test?.rescaled(1.0 / 255.0, 0.0));
    let mut model = match network.as_str() {
        "simple" => models::cifar10_simple(train.sample_shape().clone(), train.classes()),
        "deep" => models::cifar10_deep(train.sample_shape().clone(), train.classes()),
        _ => return Err(format!("expected simple or deep, found {network}").into()),
    };
    println!("{}", model.summary());
    model.initialize(seed)?;
    let asked = |word: &str| rest.iter().skip(2).any(|found| found == word);
    let epsilon_under_root = !asked("keras2");
    let optimizer = RMSprop { epsilon_under_root, ..RMSprop::default() }.into();
    let loss = SparseCategoricalCrossentropy::default().into();
    model.compile(&Device::best()?, Compile { optimizer, loss, ..Default::default() })?;
    let mut lines = Lines;
    let augmentation = Augmentation {
        width_shift_range: 0.1.into(),
        height_shift_range: 0.1.into(),
        horizontal_flip: true,
        ..Default::default()
    };
    let fit = Fit {
        epochs,
        batch_size: 128,
        validation_split: 0.2,
        seed,
        augmentation: asked("augment").then_some(&augmentation),
        ..Default::default()
    };
    model.fit_with_callbacks(&train, fit, &mut [&mut lines])?;
    let score = model.evaluate(&test)?;
    println!("{network}, seed {seed}, on the test images: {score}");
    Ok(())
}
