//! The training speed of whole networks.

use std::time::{Duration, Instant};

use kiln::data::{Dataset, Labels};
use kiln::graph::{Array, DType, DeviceInfo};
use kiln::losses::{Loss, SparseCategoricalCrossentropy};
use kiln::models::{self, Top};
use kiln::{Compile, Device, Fit, Model, Precision, Result};

use crate::workloads::{is_gpu, networks};

/// The number of steps from which the length of a run is estimated.
const FIRST_STEPS: usize = 4;
const MOST_STEPS: usize = 256;
const LOSS: SparseCategoricalCrossentropy = SparseCategoricalCrossentropy { from_logits: false };

/// A network and how it is trained to be measured.
pub struct TrainingWorkload {
    /// The network.
    pub network: Model,
    /// The precision of its products.
    pub precision: Precision,
    /// The samples of a step.
    pub batch_size: usize,
}

impl TrainingWorkload {
    /// `training/lenet`
    pub fn id(&self) -> String {
        format!("training/{}", self.name())
    }

    /// `lenet`, or `lenet.mixed` in mixed precision.
    pub fn name(&self) -> String {
        let precision = if self.precision == Precision::Mixed { ".mixed" } else { "" };
        format!("{}{precision}", self.network.name())
    }
}

/// The trainings that a device is measured with: LeNet and the deeper network for CIFAR-10 in batches of 128; on GPUs also
/// InceptionV3 in batches of 32; and all of them in mixed precision, too, if the device has cooperative matrices.
pub fn trainings(device: &DeviceInfo) -> Vec<TrainingWorkload> {
    let mut trainings = Vec::new();
    for precision in [Precision::Float32, Precision::Mixed] {
        if precision == Precision::Mixed && !device.limits.cooperative_matrices {
            continue;
        }
        trainings.extend(networks().map(|network| TrainingWorkload { network, precision, batch_size: 128 }));
        if is_gpu(device) {
            let network = models::inception_v3([299, 299, 3], Top::IMAGENET);
            trainings.push(TrainingWorkload { network, precision, batch_size: 32 });
        }
    }
    trainings
}

/// A training of a classifier by [`Model::fit`] with Adam on made-up images, in batches of equal size.
pub struct Training {
    model: Model,
    data: Dataset,
    batch_size: usize,
    first_step: Duration,
}

impl Training {
    /// A training whose runs last about `length`, at least four steps.
    ///
    /// # Errors
    /// If the model is not a classifier, or the device fails.
    pub fn new(device: &Device, workload: TrainingWorkload, length: Duration) -> Result<Training> {
        let TrainingWorkload { network: mut model, precision, batch_size } = workload;
        let data = made_up(&model, FIRST_STEPS * batch_size, &LOSS)?;
        let start = Instant::now();
        model.compile(device, Compile { loss: LOSS.into(), precision, ..Compile::default() })?;
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

    /// Trains for one epoch and returns its time.
    ///
    /// # Errors
    /// If the device fails.
    pub fn run(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.model.fit(&self.data, Fit { batch_size: self.batch_size, ..Fit::default() })?;
        Ok(start.elapsed())
    }

    /// The number of samples of a run.
    pub fn samples(&self) -> usize {
        self.data.len()
    }

    /// The time from compiling the model to the end of its first step.
    pub fn first_step(&self) -> Duration {
        self.first_step
    }
}

/// Samples of random bytes with labels for the model and its loss: 0 or 1 for each output or, if the loss needs them,
/// class indices.
///
/// # Errors
/// If the model's layers are incompatible.
pub fn made_up(model: &Model, samples: usize, loss: &dyn Loss) -> Result<Dataset> {
    let (shape, outputs) = (model.input_shape(), model.output_shape()?.elements());
    // Random values repeat after a while, so that many samples need no more memory than their bytes.
    const PERIOD: usize = (1 << 20) - 1;
    let random = |count: usize, bound, seed| {
        let period = Array::random_below([count.min(PERIOD)], DType::U32, bound, seed).data;
        (0..count).map(move |i| period[i % PERIOD])
    };
    let values = random(samples * shape.elements(), 256, 1).map(|value| value as u8).collect();
    let bits = Labels::values(random(samples * outputs, 2, 2).map(|value| value as f32).collect(), outputs);
    let labels = match loss.check_labels(model.output_shape()?, &bits) {
        Ok(()) => bits,
        Err(_) => Labels::index(random(samples, outputs as u64, 2).map(|label| label as u32).collect(), outputs),
    };
    // The values are made up: it does not matter if the model rescales them.
    Ok(Dataset::from_u8(shape.clone(), values, labels)?.rescaled(1.0 / 255.0, 0.0))
}
