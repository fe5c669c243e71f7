//! How fast whole networks are trained.

use std::time::{Duration, Instant};

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, DType};
use kiln::losses::{Loss, SparseCategoricalCrossentropy};
use kiln::{Compile, Device, Fit, Model, Result};

/// The steps by which the length of a run is found.
const FIRST_STEPS: usize = 4;
const MOST_STEPS: usize = 256;
const LOSS: SparseCategoricalCrossentropy = SparseCategoricalCrossentropy { from_logits: false };

/// A classifier that is trained with Adam on made-up images, in batches of one size: everything that [`Model::fit`] does.
pub struct Training {
    model: Model,
    data: Dataset,
    batch_size: usize,
    first_step: Duration,
}

impl Training {
    /// A training whose runs are about as long as `length` says, and at least four steps.
    ///
    /// # Errors
    /// When the model is no classifier, or the device fails.
    pub fn new(device: &Device, mut model: Model, batch_size: usize, length: Duration) -> Result<Training> {
        let data = made_up(&model, FIRST_STEPS * batch_size, &LOSS)?;
        let start = Instant::now();
        model.compile(device, Compile { loss: LOSS.into(), ..Compile::default() })?;
        let mut training = Training { model, data: data.head(batch_size), batch_size, first_step: Duration::ZERO };
        training.run()?;
        training.first_step = start.elapsed();

        training.data = data;
        training.run()?;
        let step = training.run()?.as_secs_f64() / FIRST_STEPS as f64;
        let steps = ((length.as_secs_f64() / step) as usize).clamp(FIRST_STEPS, MOST_STEPS);
        training.data = made_up(&training.model, steps * batch_size, &LOSS)?;
        Ok(training)
    }

    /// Trains for one epoch and gives the time that it took.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.model.fit(&self.data, Fit { batch_size: self.batch_size, ..Fit::default() })?;
        Ok(start.elapsed())
    }

    /// How many samples a run trains on.
    pub fn samples(&self) -> usize {
        self.data.len()
    }

    /// What passed from compiling the model until its first step was done.
    pub fn first_step(&self) -> Duration {
        self.first_step
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        self.model.name()
    }
}

/// So many samples of random bytes with labels that fit the model and its loss: a 0 or a 1 for each output or, where the
/// loss takes no values, classes.
///
/// # Errors
/// When the model's layers do not fit together.
pub fn made_up(model: &Model, samples: usize, loss: &dyn Loss) -> Result<Dataset> {
    let (shape, outputs) = (model.input_shape(), model.output_shape()?.elements());
    let random = |count, bound, seed| Array::random_below([count], DType::U32, bound, seed).data.into_iter();
    let values = random(samples * shape.elements(), 256, 1).map(|value| value as u8).collect();
    let bits = Labels::values(random(samples * outputs, 2, 2).map(|value| value as f32).collect(), outputs);
    let labels = match loss.check_labels(model.output_shape()?, &bits) {
        Ok(()) => bits,
        Err(_) => Labels::index(random(samples, outputs as u64, 2).map(|label| label as u32).collect(), outputs),
    };
    // Values are made up, so it does not matter whether the model scales them as well.
    Ok(Dataset::from_u8(shape.clone(), values, labels)?.rescaled(1.0 / 255.0, 0.0))
}
