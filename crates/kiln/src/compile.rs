//! The training configuration of a model.

use std::sync::Arc;

use crate::losses::{CategoricalCrossentropy, Loss};
use crate::metrics::{Accuracy, OutputMetric};
use crate::optimizers::{Adam, Optimizer, Slot};
use crate::{Error, PerOutput, Precision, Result};

/// The maximum number of steps per submission.
pub(crate) const MOST_STEPS: usize = 32;

/// Keras' name of the weights' moving average.
pub(crate) const AVERAGE: &str = "average";

/// The arguments of [`compile`](crate::Model::compile).
#[derive(Clone, Debug)]
pub struct Compile {
    /// The optimizer: `Adam::default().into()`.
    pub optimizer: Arc<dyn Optimizer>,
    /// The loss to minimise: `SparseCategoricalCrossentropy::default().into()`. For a model with several outputs, it is the
    /// loss of each; [`PerOutput::list`] and [`PerOutput::named`] set one for each output. An output that is not named has no
    /// loss, as one with the loss `None` in Keras; a data set has [targets](crate::data::Dataset::with_targets) for the
    /// others only.
    ///
    /// The total loss, the figure `loss`, is the sum of the outputs' losses times their weights, plus the penalties of
    /// regularizers. With several losses, each is a figure, too: `<output>_loss`, without its weight.
    pub loss: PerOutput<Arc<dyn Loss>>,
    /// The factor of each output's loss in the total loss: Keras' `loss_weights`. 1 by default, and for outputs that are not
    /// named.
    pub loss_weights: PerOutput<f64>,
    /// The precision of matrix products and convolutions, in training, evaluations and predictions of the compiled model.
    /// Never chosen by tuning, because it changes results. A model that is only on a device
    /// ([`Model::to_device`](crate::Model::to_device)) computes in 32-bit floats.
    ///
    /// [`Precision::Mixed`] rounds the factors of the products of layers: their inputs and kernels, and in the backward pass
    /// the gradients of their outputs. Preprocessing, augmentation, losses, metrics, weights and the optimizer's state are in
    /// 32-bit floats. Factors from 65,520 on become infinite: scale the samples, or normalize. In the forward pass, this makes
    /// the loss infinite or NaN, or behind a saturating activation the gradients at every loss scale; either is an error of
    /// [`fit`](crate::Model::fit), the second at the end of an epoch after some 40 skipped steps. In the backward pass, dynamic
    /// scaling of the loss keeps gradients in range ([`LossScale`](crate::LossScale)).
    ///
    /// ```
    /// use kiln::data::{Dataset, Labels};
    /// use kiln::layers::{Activation, Dense};
    /// use kiln::losses::MeanSquaredError;
    /// use kiln::{Compile, Device, Fit, Precision, Sequential};
    ///
    /// let mut model = Sequential::new([2]);
    /// model.add(Dense::new(8).activation(Activation::Tanh));
    /// model.add(Dense::new(1));
    /// let compile = Compile { loss: MeanSquaredError.into(), metrics: vec![], ..Compile::default() };
    /// model.compile(&Device::cpu()?, Compile { precision: Precision::Mixed, ..compile })?;
    /// let labels = Labels::values(vec![0.0, 1.0, 1.0, 0.0], 1);
    /// let data = Dataset::from_f32([2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], labels)?;
    /// model.fit(&data, Fit { epochs: 2, ..Fit::default() })?;
    /// let scale = model.loss_scale()?.expect("mixed precision has a loss scale");
    /// assert_eq!((scale.scale, scale.skipped_steps), (32_768.0, 0));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub precision: Precision,
    /// The metrics to measure in addition to the loss: `vec![Accuracy.into()]`. For a model with several outputs, each is
    /// measured for all outputs to whose loss it applies, or for one of them:
    /// `vec![("class", Accuracy).into(), ("position", MeanAbsoluteError).into()]`. Their figures are then
    /// `<output>_<metric>`.
    pub metrics: Vec<OutputMetric>,
    /// The maximum absolute value of an element of a gradient. At most one kind of clipping can be enabled.
    pub clipvalue: Option<f64>,
    /// The maximum Euclidean norm of a variable's gradient; a larger gradient is scaled down.
    pub clipnorm: Option<f64>,
    /// The maximum Euclidean norm of all gradients together; larger gradients are scaled down together.
    pub global_clipnorm: Option<f64>,
    /// Whether to track an exponential moving average (EMA) of the weights: after each step
    /// `average = ema_momentum average + (1 - ema_momentum) weights`, the average of the first step being its weights. When
    /// [`fit`](crate::Model::fit) ends, the average replaces the weights, as in Keras; validations until then see the
    /// weights themselves.
    pub use_ema: bool,
    /// The momentum of the moving average, 0 to 1.
    pub ema_momentum: f64,
    /// The interval, in steps, at which the average replaces the weights; `None` for only at the end of `fit`.
    pub ema_overwrite_frequency: Option<u32>,
    /// Gradient accumulation: the number of shards, 1 to 32, that a training batch is computed in sequentially; 1 computes
    /// the whole batch at once. Activations need the memory of one shard, so batches that exceed the device's memory can be
    /// used. A batch of `B` samples has `n = min(accumulate, B)` shards, and shard `k` has the samples `k B / n` to
    /// `(k + 1) B / n` of it (rounded down). Their gradients are summed in the order of a binary tree, followed by one
    /// optimizer step: the result equals that of the whole batch up to rounding, and is bit-for-bit reproducible.
    ///
    /// Losses, metrics, clipping, schedules and callbacks apply to whole batches, and random draws of dropout and
    /// augmentation depend on a sample's position in the whole batch. Only batch normalization normalizes each shard
    /// separately, and updates its moving averages once per shard.
    ///
    /// Keras' `gradient_accumulation_steps` instead runs one optimizer step for several batches: `batch_size=32` with
    /// `gradient_accumulation_steps=4` in Keras is `batch_size: 128, accumulate: 4` here.
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
    /// The number of training steps per submission to the device, at most 32. By default as many as run in about 50 ms.
    /// More steps reduce overhead but delay callbacks; results do not depend on it. With
    /// [`accumulate`](Compile::accumulate) above 1, training steps are submitted one by one.
    pub steps_per_execution: Option<usize>,
}

impl Default for Compile {
    fn default() -> Compile {
        Compile {
            optimizer: Adam::default().into(),
            loss: CategoricalCrossentropy::default().into(),
            loss_weights: 1.0.into(),
            precision: Precision::Float32,
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
    /// [`Error::Argument`] if an argument is invalid.
    pub(crate) fn check(&self) -> Result<()> {
        let argument = |name, expected: String, found: String| Err(Error::Argument { name, expected, found });
        if let Some(steps) = self.steps_per_execution.filter(|steps| !(1..=MOST_STEPS).contains(steps)) {
            return argument("steps_per_execution", format!("1 to {MOST_STEPS}"), steps.to_string());
        }
        if !(1..=MOST_STEPS).contains(&self.accumulate) {
            return argument("accumulate", format!("1 to {MOST_STEPS}"), self.accumulate.to_string());
        }
        self.loss.values().try_for_each(|loss| loss.check())?;
        if let Some(weight) = self.loss_weights.values().find(|weight| !weight.is_finite()) {
            return argument("loss_weights", "finite numbers".to_owned(), weight.to_string());
        }
        let learning_rate = self.optimizer.learning_rate();
        learning_rate.check()?;
        self.optimizer.check()?;
        let rates = self.optimizer.rates(0, learning_rate.at(0));
        if rates.iter().any(|rate| !rate.is_finite()) {
            let expected = "arguments with finite rates".to_owned();
            return argument(
                "optimizer",
                expected,
                format!("{:?} with the rates {rates:?} in the first step", self.optimizer),
            );
        }
        if !(0.0..=1.0).contains(&self.ema_momentum) {
            return argument("ema_momentum", "0 to 1".to_owned(), self.ema_momentum.to_string());
        }
        if self.ema_overwrite_frequency == Some(0) {
            return argument("ema_overwrite_frequency", "at least 1, or none".to_owned(), "0".to_owned());
        }
        self.check_clipping()
    }

    /// The state updated in each step beside the weights: the optimizer's slots and the weights' average.
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
