//! How a model is trained.

use std::sync::Arc;

use crate::losses::{CategoricalCrossentropy, Loss};
use crate::metrics::{Accuracy, Metric};
use crate::optimizers::{Adam, Optimizer, Slot};
use crate::{Error, Result};

/// The most steps that one submission runs.
pub(crate) const MOST_STEPS: usize = 32;

/// Keras' name of the weights' moving average.
pub(crate) const AVERAGE: &str = "average";

/// The arguments of [`compile`](crate::Model::compile).
#[derive(Clone, Debug)]
pub struct Compile {
    /// How a step changes the weights: `Adam::default().into()`.
    pub optimizer: Arc<dyn Optimizer>,
    /// The loss to minimise: `SparseCategoricalCrossentropy::default().into()`.
    pub loss: Arc<dyn Loss>,
    /// The figures to measure beside the loss: `vec![Accuracy.into()]`.
    pub metrics: Vec<Arc<dyn Metric>>,
    /// The largest absolute value that an element of a gradient keeps. At most one kind of clipping can be asked for.
    pub clipvalue: Option<f64>,
    /// The largest Euclidean norm that the gradient of a variable keeps; a larger one is scaled down.
    pub clipnorm: Option<f64>,
    /// The largest Euclidean norm that all gradients together keep; larger ones are scaled down together.
    pub global_clipnorm: Option<f64>,
    /// Whether an exponential moving average (EMA) of the weights is kept: after each step
    /// `average = ema_momentum average + (1 - ema_momentum) weights`, the average of the first step being its weights. When
    /// [`fit`](crate::Model::fit) ends, the average replaces the weights, as in Keras; validations until then see the
    /// weights themselves.
    pub use_ema: bool,
    /// How much of the average is kept in a step, 0 to 1.
    pub ema_momentum: f64,
    /// After how many steps the average replaces the weights, again and again; `None` for only at the end.
    pub ema_overwrite_frequency: Option<u32>,
    /// Gradient accumulation: the number of shards that a training batch is computed in, one after the other, 1 to 32; 1
    /// computes the whole batch at once. Activations then need the memory of a shard, so batches that do not fit the
    /// device can be trained with. A batch of `B` samples has `n = min(accumulate, B)` shards, and shard `k` the samples
    /// `k B / n` to `(k + 1) B / n` of it (rounded down). Their gradients are summed in the order of a binary tree, and one
    /// optimizer step follows: the result is that of the whole batch up to rounding, and repeatable to the bit.
    ///
    /// Losses, metrics, clipping, schedules and callbacks see whole batches, and dropout and augmentation draw by a
    /// sample's place in the whole batch. Only batch normalization normalizes each shard by itself, and updates its moving
    /// averages once per shard.
    ///
    /// Keras' `gradient_accumulation_steps` instead takes one optimizer step for several batches: `batch_size: 32` with 4
    /// of them there is `batch_size: 128, accumulate: 4` here.
    ///
    /// ```
    /// use kiln::data::{Dataset, Labels};
    /// use kiln::layers::Dense;
    /// use kiln::losses::MeanSquaredError;
    /// use kiln::{Compile, Device, Sequential};
    ///
    /// let data = Dataset::from_f32([1], vec![0.0, 1.0, 2.0, 3.0], Labels::values(vec![1.0, 3.0, 5.0, 7.0], 1))?;
    /// let gradients = |accumulate| {
    ///     let mut model = Sequential::new([1]);
    ///     model.add(Dense::new(1));
    ///     let compile = Compile { loss: MeanSquaredError.into(), metrics: vec![], accumulate, ..Compile::default() };
    ///     model.compile(&Device::cpu()?, compile)?;
    ///     model.gradients(&data)
    /// };
    /// for (shards, whole) in gradients(2)?.iter().zip(&gradients(1)?) {
    ///     assert!((shards.values[0] - whole.values[0]).abs() < 1e-4);
    /// }
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub accumulate: usize,
    /// How many training steps the device is given at once, at most 32. By default as many as take about 50 ms. More
    /// cost less overhead and let callbacks wait longer; results do not depend on it. With
    /// [`accumulate`](Compile::accumulate) above 1, training steps are given one by one.
    pub steps_per_execution: Option<usize>,
}

impl Default for Compile {
    fn default() -> Compile {
        Compile {
            optimizer: Adam::default().into(),
            loss: CategoricalCrossentropy::default().into(),
            metrics: vec![Accuracy.into()],
            clipvalue: None,
            clipnorm: None,
            global_clipnorm: None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            accumulate: 1,
            steps_per_execution: None,
        }
    }
}

impl Compile {
    /// # Errors
    /// [`Error::Argument`] if an argument makes no sense.
    pub(crate) fn check(&self) -> Result<()> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if let Some(steps) = self.steps_per_execution.filter(|steps| !(1..=MOST_STEPS).contains(steps)) {
            return argument("steps_per_execution", format!("1 to {MOST_STEPS}"), steps.to_string());
        }
        if !(1..=MOST_STEPS).contains(&self.accumulate) {
            return argument("accumulate", format!("1 to {MOST_STEPS}"), self.accumulate.to_string());
        }
        self.loss.check()?;
        let learning_rate = self.optimizer.learning_rate();
        learning_rate.check()?;
        self.optimizer.check()?;
        let rates = self.optimizer.rates(0, learning_rate.at(0));
        if rates.iter().any(|rate| !rate.is_finite()) {
            let expected = "arguments that give a finite step".to_owned();
            return argument("optimizer", expected, format!("{:?}, whose first step has {rates:?}", self.optimizer));
        }
        if !(0.0..=1.0).contains(&self.ema_momentum) {
            return argument("ema_momentum", "0 to 1".to_owned(), self.ema_momentum.to_string());
        }
        if self.ema_overwrite_frequency == Some(0) {
            return argument("ema_overwrite_frequency", "at least 1, or none".to_owned(), "0".to_owned());
        }
        self.check_clipping()
    }

    /// What is kept from step to step, beside the weights: what the optimizer keeps, and the weights' average.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let average = self.use_ema.then(|| Slot::zero(AVERAGE));
        self.optimizer.slots().into_iter().chain(average).collect()
    }

    fn check_clipping(&self) -> Result<()> {
        let kinds =
            [("clipvalue", self.clipvalue), ("clipnorm", self.clipnorm), ("global_clipnorm", self.global_clipnorm)];
        let asked: Vec<(&'static str, f64)> = kinds.iter().filter_map(|&(name, limit)| Some((name, limit?))).collect();
        if let [_, (second, _), ..] = asked[..] {
            let names: Vec<&str> = asked.iter().map(|&(name, _)| name).collect();
            let expected = "at most one kind of clipping".to_owned();
            return Err(Error::Argument { name: second, expected, found: names.join(" and ") });
        }
        match asked[..] {
            [(name, limit)] if !(limit.is_finite() && limit > 0.0) => {
                Err(Error::Argument { name, expected: "more than 0".to_owned(), found: limit.to_string() })
            }
            _ => Ok(()),
        }
    }
}
