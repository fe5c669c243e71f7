//! A model that is a chain of layers.

use std::ops::ControlFlow;
use std::path::Path;

use kiln_graph::{Profile, Shape};

use crate::callbacks::Callback;
use crate::compile::Compile;
use crate::data::{Dataset, Labels};
use crate::figures::Figures;
use crate::layers::Named;
use crate::network::Network;
use crate::session::{INFERENCE_BATCH, Role, Session};
use crate::summary::Summary;
use crate::weights::Weight;
use crate::{Device, Error, LoadWeights, Result, saving, weights};

/// A chain of layers: what one gives, the next takes.
///
/// # Example
/// ```
/// use kiln::Sequential;
/// use kiln::layers::{ActivationFunction, Conv2D, Dense, Flatten, Function, MaxPooling2D};
///
/// let mut model = Sequential::new([28, 28, 1]);
/// model
///     .add(Conv2D::new(8, [3, 3]).activation(Function::Relu))
///     .add(MaxPooling2D::new([2, 2]))
///     .add(Flatten)
///     .add(Dense::new(10).activation(ActivationFunction::Softmax));
/// assert_eq!(model.output_shape()?, &[10].into());
/// println!("{}", model.summary());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Sequential {
    network: Network,
    seed: u64,
    /// The weights of the first variables, one after the other. Those behind are drawn when they are needed.
    weights: Vec<f32>,
    /// The device has the weights from here on.
    session: Option<Session>,
}

/// How well a model does on a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The loss, averaged over the samples.
    pub loss: f64,
    /// The metrics, averaged over the samples.
    pub metrics: Figures,
}

impl Score {
    /// All figures: `loss`, then the metrics.
    pub fn figures(&self) -> Vec<(&str, f64)> {
        std::iter::once(("loss", self.loss)).chain(self.metrics.iter()).collect()
    }

    /// The figure of this name, if there is one: `loss`, or a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" { Some(self.loss) } else { self.metrics.get(name) }
    }

    /// The metric `accuracy`: see [`Metric::Accuracy`](crate::Metric::Accuracy). Not a number if it was not asked for.
    pub fn accuracy(&self) -> f64 {
        self.metrics.get("accuracy").unwrap_or(f64::NAN)
    }
}

/// What a model gives for some samples: probabilities, if it ends in softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// `[samples, …]`
    pub shape: Shape,
    /// One sample after the other.
    pub values: Vec<f32>,
}

impl Predictions {
    /// The values of each sample.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.shape.sample().elements().max(1))
    }

    /// For each sample, the place of its largest value (the first of equal ones): its most probable class.
    pub fn classes(&self) -> Vec<usize> {
        let first_largest = |row: &[f32]| (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b]));
        self.rows().map(|row| first_largest(row).unwrap_or_default()).collect()
    }
}

impl Sequential {
    /// A model without layers that takes samples of this shape, images as `[height, width, channels]`.
    pub fn new(input_shape: impl Into<Shape>) -> Sequential {
        let network = Network::new(input_shape.into());
        Sequential { network, seed: 0, weights: Vec::new(), session: None }
    }

    /// The model under this name, without which it is `sequential`.
    pub fn with_name(mut self, name: impl Into<String>) -> Sequential {
        self.network.name = name.into();
        self
    }

    /// Appends a layer, or one with a name: `Flatten` or `Flatten.named("flat")`. A layer that does not fit is reported
    /// when the model is used, and shown by [`Sequential::summary`].
    pub fn add(&mut self, layer: impl Into<Named>) -> &mut Sequential {
        self.network.push(layer.into());
        self
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.network.name
    }

    /// The shape of a sample that the model takes.
    pub fn input_shape(&self) -> &Shape {
        &self.network.input_shape
    }

    /// The shape of what the model gives for a sample.
    ///
    /// # Errors
    /// When the layers do not fit together.
    pub fn output_shape(&self) -> Result<&Shape> {
        self.network.check()?;
        Ok(self.network.output_shape())
    }

    /// The layers, the shapes that they give and how many parameters they have: prints as in Keras.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.network)
    }

    /// Says of a layer whether training changes its variables, from the next [`Sequential::compile`] on. One that it does
    /// not change is frozen: see [`Layer::trainable`](crate::layers::Layer::trainable).
    ///
    /// # Errors
    /// When no layer has this name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        self.network.set_trainable(layer, trainable)
    }

    /// Draws all weights anew. A model that this is never called for has the seed 0.
    ///
    /// # Errors
    /// When the layers do not fit together or the device fails.
    pub fn initialize(&mut self, seed: u64) -> Result<()> {
        self.network.check()?;
        self.seed = seed;
        let drawn = weights::draw(&self.network, seed, Vec::new());
        self.put_weights(drawn)
    }

    /// Makes the model ready to be trained on a device. Weights are kept; what an optimizer kept is not.
    ///
    /// # Errors
    /// When the layers do not fit together, an argument makes no sense or the device fails.
    pub fn compile(&mut self, device: &Device, compile: Compile) -> Result<()> {
        self.network.check()?;
        compile.check()?;
        compile.metrics.iter().try_for_each(|metric| metric.check(&self.network, compile.loss))?;
        self.start_session(device, Some(compile))
    }

    /// Makes the model ready to predict on a device. [`Sequential::compile`] does that too.
    ///
    /// # Errors
    /// When the layers do not fit together or the device fails.
    pub fn to_device(&mut self, device: &Device) -> Result<()> {
        self.start_session(device, None)
    }

    /// The learning rate of the next training step.
    ///
    /// # Errors
    /// When the model is not compiled.
    pub fn learning_rate(&self) -> Result<f64> {
        self.trained("learning_rate").map(Session::learning_rate)
    }

    /// Changes the learning rate, from the next training step on. It stays until the next [`Sequential::compile`].
    ///
    /// # Errors
    /// When the model is not compiled, the rate makes no sense, or the optimizer's learning rate is a schedule.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.compiled("set_learning_rate")?;
        self.session("set_learning_rate")?.set_learning_rate(rate)
    }

    /// Trains for `steps` steps and tells how long each kernel call of a step takes, on average over all steps but the
    /// first, which warms up. When the data set ends, it starts again. The weights change as in [`Sequential::fit`].
    /// Images are changed at random as in the last `fit`.
    ///
    /// # Errors
    /// When the model is not compiled, a batch is empty or larger than the data set, the data set does not fit the model
    /// or the device, or the device fails or cannot time its calls.
    pub fn profile(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Profile> {
        if !(1..=data.len()).contains(&batch_size) {
            let expected = format!("1 to {}, the number of samples", data.len());
            return Err(Error::Argument { name: "batch_size", expected, found: batch_size.to_string() });
        }
        self.check_data("profile", data)?;
        let session = self.session("profile")?;
        session.load(Role::Train, data)?;
        session.profile(Role::Train, batch_size, steps)
    }

    /// How well the model does on a data set.
    ///
    /// # Errors
    /// When the model is not compiled, or the data set does not fit the model or the device, or the device fails.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Score> {
        self.evaluated(data, &mut []).map(|(score, _)| score)
    }

    /// How well the model does on a data set, or nothing when a callback stopped it. Callbacks are told of each batch.
    ///
    /// # Errors
    /// As [`Sequential::evaluate`].
    pub fn evaluate_with_callbacks(
        &mut self,
        data: &Dataset,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<Option<Score>> {
        self.evaluated(data, callbacks).map(|(score, flow)| flow.is_continue().then_some(score))
    }

    /// What the model gives for each sample of a data set. Labels do not matter.
    ///
    /// # Errors
    /// When the model is on no device, or the data set does not fit the model or the device, or the device fails.
    pub fn predict(&mut self, data: &Dataset) -> Result<Predictions> {
        let values = self.session("predict")?.predict(data)?;
        Ok(Predictions { shape: self.network.output_shape().batched(data.len()), values })
    }

    /// What the model gives for samples that lie one after the other, as the model sees them: not rescaled.
    ///
    /// # Errors
    /// As [`Sequential::predict`].
    pub fn predict_values(&mut self, samples: Vec<f32>) -> Result<Predictions> {
        let count = samples.len() / self.network.input_shape.elements().max(1);
        let labels = Labels::index(vec![0; count], 1);
        self.predict(&Dataset::from_f32(self.network.input_shape.clone(), samples, labels)?)
    }

    /// All weights, in the order of the layers.
    ///
    /// # Errors
    /// When the layers do not fit together or the device fails.
    pub fn get_weights(&self) -> Result<Vec<Weight>> {
        self.network.check()?;
        Ok(weights::unpack(&self.network, &self.flat_weights()?))
    }

    /// Replaces all weights, found by their names.
    ///
    /// # Errors
    /// [`Error::Weights`] when they do not fit the model, and when the device fails.
    pub fn set_weights(&mut self, new: &[Weight]) -> Result<()> {
        self.network.check()?;
        let flat = weights::pack(&self.network, "what was given", new)?;
        self.put_weights(flat)
    }

    /// Writes `model.json`, in the form of Keras' `to_json`, and `weights.safetensors`, with keys `layer/variable` and
    /// Keras' layouts, into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When a file cannot be written or the device fails.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        saving::save(self, folder.as_ref())
    }

    /// The model that was saved in a folder. [`Sequential::to_device`] or [`Sequential::compile`] makes it ready.
    ///
    /// # Errors
    /// When a file cannot be read, holds something that Kiln does not know, or the two do not fit each other.
    pub fn load(folder: impl AsRef<Path>) -> Result<Sequential> {
        saving::load(folder.as_ref())
    }

    /// The model that a file in the form of Keras' `to_json` describes, with fresh weights.
    ///
    /// # Errors
    /// When the file cannot be read or holds something that Kiln does not know.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Sequential> {
        saving::load_model_json(path.as_ref())
    }

    /// Writes all weights into a safetensors file, with keys `layer/variable` and Keras' layouts.
    ///
    /// # Errors
    /// When the file cannot be written or the device fails.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::save_weights(path.as_ref(), &self.get_weights()?)
    }

    /// Replaces all weights by those of a file, of any of these kinds:
    ///
    /// - safetensors files with keys `layer/variable` and Keras' layouts, as [`Sequential::save_weights`] writes them;
    /// - safetensors files of torchvision's and timm's VGG16 and InceptionV3, for models whose layers have Keras' names.
    ///   A factor of a batch normalization that the model's has not is multiplied into the kernel before it, which is the
    ///   same in inference and where the layers are frozen;
    /// - with the feature `hdf5`, the `.h5` files of Keras 1 and 2, of weights or whole models, and the `.weights.h5`
    ///   files of Keras 3.
    ///
    /// Elements are F32, F16 or BF16 in safetensors files, F32 or F16 in others. What pixels the weights are for is not
    /// in the file: Keras' VGG16 takes other ones than torchvision's. Keras' average pooling leaves padding out,
    /// torchvision's InceptionV3 counts it, so that the same weights give slightly other features.
    ///
    /// # Errors
    /// When the file cannot be read or does not fit the model: all that is missing, too much or of another shape.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, LoadWeights::default()).map(|_| ())
    }

    /// [`Sequential::load_weights`] from a file that does not fit in all layers. Gives the names of the layers that keep
    /// the weights they have.
    ///
    /// # Errors
    /// As [`Sequential::load_weights`], of what the options do not leave out, and when they leave nothing.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, options: LoadWeights) -> Result<Vec<String>> {
        self.network.check()?;
        let loaded = saving::load_weights(&self.network, path.as_ref(), options, || self.flat_weights())?;
        self.put_weights(loaded.values)?;
        Ok(loaded.kept)
    }

    /// Writes the training of a compiled model into a safetensors file: the weights, what the optimizer keeps, and how
    /// far training is. See [`Sequential::load_checkpoint`].
    ///
    /// # Errors
    /// When the model is not compiled, the file cannot be written or the device fails.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::checkpoint::save(self, path.as_ref())
    }

    /// Puts a compiled model where the training was that [`Sequential::save_checkpoint`] wrote into a file, and gives how
    /// many epochs were over then. With that as [`Fit::initial_epoch`](crate::Fit::initial_epoch) and the same data,
    /// arguments and device, training goes on to the same bits as one that was not interrupted.
    ///
    /// # Errors
    /// When the model is not compiled, the file cannot be read or does not fit the model or its optimizer.
    pub fn load_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        saving::checkpoint::load(self, path.as_ref())
    }

    fn evaluated(&mut self, data: &Dataset, callbacks: &mut [&mut dyn Callback]) -> Result<(Score, ControlFlow<()>)> {
        self.check_data("evaluate", data)?;
        let (totals, flow) = self.session("evaluate")?.evaluate(data, INFERENCE_BATCH, callbacks)?;
        Ok((Score { loss: totals.loss(), metrics: totals.metrics() }, flow))
    }

    /// # Errors
    /// When the model is not compiled, or a data set's labels do not fit the model and its loss.
    pub(crate) fn check_data(&mut self, action: &'static str, data: &Dataset) -> Result<()> {
        let loss = self.compiled(action)?.loss;
        loss.check(&self.network, data)
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The session, if the model is on a device as it is now.
    pub(crate) fn session(&mut self, action: &'static str) -> Result<&mut Session> {
        self.network.check()?;
        let not_ready = Error::NotReady { model: self.network.name.clone(), action, call: "compile" };
        let layers = self.network.layers.len();
        self.session.as_mut().filter(|session| session.network().layers.len() == layers).ok_or(not_ready)
    }

    /// The session of a compiled model, to look at.
    pub(crate) fn trained(&self, action: &'static str) -> Result<&Session> {
        let ready = self.session.as_ref().filter(|session| session.compiled().is_some());
        ready.ok_or(Error::NotReady { model: self.network.name.clone(), action, call: "compile" })
    }

    pub(crate) fn compiled(&mut self, action: &'static str) -> Result<&Compile> {
        let not_ready = Error::NotReady { model: self.network.name.clone(), action, call: "compile" };
        self.session(action)?.compiled().ok_or(not_ready)
    }

    fn start_session(&mut self, device: &Device, compile: Option<Compile>) -> Result<()> {
        self.network.check()?;
        let weights = self.flat_weights()?;
        self.session = Some(Session::new(device, &self.network, compile, &weights)?);
        self.weights = Vec::new();
        Ok(())
    }

    /// All weights, one after the other; those that no one has set or asked for before are drawn.
    fn flat_weights(&self) -> Result<Vec<f32>> {
        let known = match &self.session {
            Some(session) => session.weights()?,
            None => self.weights.clone(),
        };
        Ok(weights::draw(&self.network, self.seed, known))
    }

    fn put_weights(&mut self, flat: Vec<f32>) -> Result<()> {
        let layers = self.network.layers.len();
        match &self.session {
            Some(session) if session.network().layers.len() == layers => session.write_weights(&flat),
            _ => {
                self.session = None;
                self.weights = flat;
                Ok(())
            }
        }
    }
}
