//! Keras' callbacks: early stopping, logs for TensorBoard, and a checkpoint of the best model. Made-up data, takes
//! seconds.
//!
//! `cargo run --release --example callbacks [FOLDER]`, then `tensorboard --logdir runs/callbacks/logs`

use std::path::PathBuf;

use kiln::callbacks::{CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TensorBoard, UpdateFreq};
use kiln::data::{Dataset, Labels};
use kiln::graph::Array;
use kiln::layers::{Activation, Dense};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Model, Sequential};

/// `n` points of the square from -1 to 1; the class is 1 inside a circle.
fn points(n: usize, seed: u64) -> Result<Dataset, kiln::data::DataError> {
    let values: Vec<f32> = Array::random([n, 2], seed).data.into_iter().map(|value| value as f32).collect();
    let classes = values.chunks(2).map(|point| u32::from(point[0].hypot(point[1]) < 0.75)).collect();
    Dataset::from_f32([2], values, Labels::index(classes, 2))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or("runs/callbacks".to_owned()));
    let mut model = Sequential::new([2]).with_name("circle");
    model.add(Dense::new(32).activation(Activation::Tanh)).add(Dense::new(2).activation(Activation::Softmax));
    let optimizer = Adam { learning_rate: 0.05.into(), ..Adam::default() }.into();
    let loss = SparseCategoricalCrossentropy::default();
    model.compile(&Device::best()?, Compile { optimizer, loss: loss.into(), ..Default::default() })?;

    let mut stopping = EarlyStopping { patience: 12, restore_best_weights: true, ..Default::default() };
    let mut reduce = ReduceLROnPlateau { factor: 0.3, patience: 5, ..Default::default() };
    let best = folder.join("best");
    let mut checkpoint = ModelCheckpoint { save_best_only: true, ..ModelCheckpoint::new(best.to_string_lossy()) };
    let mut csv = CSVLogger::new(folder.join("training.csv"));
    let mut board = TensorBoard { update_freq: UpdateFreq::Batches(10), ..TensorBoard::new(folder.join("logs")) };
    let fit = Fit { epochs: 200, validation_split: 0.25, ..Default::default() };
    let history = model.fit_with_callbacks(
        &points(1_000, 1)?,
        fit,
        &mut [&mut stopping, &mut reduce, &mut checkpoint, &mut csv, &mut board],
    )?;
    history.save(&folder)?;

    println!("{} epochs; the best, {:?}, is in {}", history.epochs.len(), stopping.best_epoch(), best.display());
    println!("the learning rate is {} in the end", model.learning_rate()?);
    let test = points(500, 2)?;
    let mut saved = Model::load(&best)?;
    saved.compile(&Device::best()?, Compile { loss: loss.into(), ..Default::default() })?;
    let (found, kept) = (model.evaluate(&test)?, saved.evaluate(&test)?);
    println!("{} points that it has not seen: {found}", test.len());
    if found == kept { Ok(()) } else { Err(format!("the saved model does otherwise: {kept:?}").into()) }
}
