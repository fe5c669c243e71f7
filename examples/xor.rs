//! Learns the XOR of two signs: whether a point is in the first or third quadrant. Made-up data, takes seconds.
//!
//! `cargo run --release --example xor`

use kiln::data::{Dataset, Labels};
use kiln::graph::Array;
use kiln::layers::{Activation, Dense};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Sequential};

/// `n` points of the square from -1 to 1; the class is 1 if both coordinates have the same sign.
fn points(n: usize, seed: u64) -> Result<Dataset, kiln::data::DataError> {
    let values: Vec<f32> = Array::random([n, 2], seed).data.into_iter().map(|value| value as f32).collect();
    let classes = values.chunks(2).map(|point| u32::from(point[0] * point[1] > 0.0)).collect();
    Dataset::from_f32([2], values, Labels::index(classes, 2))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::best()?;
    println!("{}", device.info().name);
    let (train, test) = (points(2_000, 1)?, points(500, 2)?);

    let mut model = Sequential::new([2]).with_name("xor");
    model.add(Dense::new(16).activation(Activation::Tanh)).add(Dense::new(2).activation(Activation::Softmax));
    let optimizer = Adam { learning_rate: 0.02.into(), ..Adam::default() }.into();
    model.compile(
        &device,
        Compile { optimizer, loss: SparseCategoricalCrossentropy::default().into(), ..Default::default() },
    )?;
    let history = model.fit(&train, Fit { epochs: 20, ..Default::default() })?;
    for epoch in history.epochs.iter().step_by(5) {
        println!("epoch {:2}: {epoch}", epoch.epoch);
    }

    let score = model.evaluate(&test)?;
    println!("{} points that it has not seen: {score}", test.len());
    for point in [[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]] {
        let prediction = model.predict_values(point.to_vec())?;
        println!("{point:?}: one sign with probability {:.3}", prediction.values[1]);
    }
    if score.accuracy() > Some(0.95) { Ok(()) } else { Err("expected more than 0.95".into()) }
}
