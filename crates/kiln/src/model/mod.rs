//! Models: layers, their weights, and the device they are trained on.

mod files;
mod fine_tune;
mod layer_list;
mod rescales_input;
mod results;
mod sequential;
mod variable_list;

use std::sync::{Mutex, MutexGuard, PoisonError};

use kiln_graph::{Profile, Shape, block_on};

use crate::callbacks::CallbackStates;
use crate::compile::Compile;
use crate::data::Dataset;
use crate::layers::Named;
use crate::network::{Input, ModelClass, Network, Node};
use crate::objectives::Objectives;
use crate::session::{self, Role, Session, check_memory, locked};
use crate::summary::Summary;
use crate::weights::Weight;
use crate::{Device, Error, LossScale, Precision, Result, weights};

pub use fine_tune::FeatureCache;
pub use layer_list::{LayerInfo, LayerList, LayerSelection};
pub use results::{Predictions, Score};
pub use sequential::Sequential;
pub use variable_list::{VariableInfo, VariableList};

/// A model of connected layers: Keras' functional model. For a plain sequence of layers, [`Sequential`] is shorter.
/// [`Model::add_input`] adds further inputs, and [`Model::set_output`] sets one or several outputs.
///
/// # Example
/// A convolution with a residual connection:
/// ```
/// use kiln::Model;
/// use kiln::layers::{Activation, Add, Conv2D, Dense, GlobalAveragePooling2D, Padding};
///
/// let mut model = Model::new([32, 32, 3]);
/// let x = model.apply(Conv2D::new(16, [3, 3]).padding(Padding::Same), model.input());
/// let y = model.apply(Conv2D::new(16, [3, 3]).padding(Padding::Same).activation(Activation::Relu), x);
/// let sum = model.apply(Add::default(), [x, y]);
/// let means = model.apply(GlobalAveragePooling2D::new(), sum);
/// model.apply(Dense::new(10).activation(Activation::Softmax), means);
/// assert_eq!(model.output_shape()?, &[10].into());
/// println!("{}", model.summary());
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    network: Network,
    seed: u64,
    /// The concatenated weights of the first variables. The others are initialized on first use.
    weights: Vec<f32>,
    /// If set, the weights are on the device. Locked, since predictions only borrow the model.
    session: Option<Mutex<Session>>,
    callbacks: CallbackStates,
}

impl Model {
    /// Creates a model without layers for samples of this shape; images are `[height, width, channels]`.
    pub fn new(input_shape: impl Into<Shape>) -> Model {
        Model::of(Network::new(ModelClass::Functional, input_shape.into()))
    }

    pub(crate) fn of(network: Network) -> Model {
        Model { network, seed: 0, weights: Vec::new(), session: None, callbacks: CallbackStates::default() }
    }

    /// Sets the name of the model, by default `functional`.
    pub fn with_name(mut self, name: impl Into<String>) -> Model {
        self.network.name = name.into();
        self
    }

    /// Sets the name of the first input, by default `input_layer`.
    pub fn with_input_name(mut self, name: impl Into<String>) -> Model {
        self.network.inputs[0].name = name.into();
        self
    }

    /// Adds an input with a name, for samples of this shape, and returns it: Keras' `Input`. A
    /// [data set](Dataset::zip) has a value for each input of a sample, in the order of [`Model::inputs`].
    ///
    /// # Example
    /// A model of an image and three numbers, with two outputs:
    /// ```
    /// use kiln::data::{Dataset, Labels};
    /// use kiln::layers::{Activation, Concatenate, Conv2D, Dense, GlobalAveragePooling2D, Layer};
    /// use kiln::losses::{MeanSquaredError, SparseCategoricalCrossentropy};
    /// use kiln::metrics::Accuracy;
    /// use kiln::{Compile, Device, Fit, Model, PerOutput};
    ///
    /// let mut model = Model::new([8, 8, 3]).with_input_name("image");
    /// let numbers = model.add_input("numbers", [3]);
    /// let x = model.apply(Conv2D::new(4, [3, 3]).activation(Activation::Relu), model.input());
    /// let x = model.apply(GlobalAveragePooling2D::new(), x);
    /// let x = model.apply(Concatenate::new(), [x, numbers]);
    /// let class = model.apply(Dense::new(2).activation(Activation::Softmax).named("class"), x);
    /// let position = model.apply(Dense::new(2).named("position"), x);
    /// model.set_output([class, position])?;
    ///
    /// let compile = Compile {
    ///     loss: PerOutput::named([
    ///         ("class", SparseCategoricalCrossentropy::default().into()),
    ///         ("position", MeanSquaredError.into()),
    ///     ]),
    ///     loss_weights: PerOutput::named([("position", 0.5)]),
    ///     metrics: vec![("class", Accuracy).into()],
    ///     ..Compile::default()
    /// };
    /// model.compile(&Device::cpu()?, compile)?;
    ///
    /// let images = Dataset::from_u8([8, 8, 3], vec![128; 4 * 8 * 8 * 3], None)?;
    /// let numbers = Dataset::from_f32([3], vec![0.5; 4 * 3], None)?;
    /// let targets = vec![Labels::index(vec![0, 1, 1, 0], 2), Labels::values(vec![0.0; 4 * 2], 2)];
    /// let data = Dataset::zip([images, numbers])?.with_targets(targets)?;
    /// model.fit(&data, Fit::default())?;
    /// let score = model.evaluate(&data)?;
    /// let names: Vec<&str> = score.figures().into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["loss", "class_loss", "position_loss", "class_accuracy"]);
    /// let [class, position] = &model.predict_outputs(&data)?[..] else { panic!("two outputs") };
    /// assert_eq!((&class.shape, &position.shape), (&[4, 2].into(), &[4, 2].into()));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn add_input(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> Node {
        self.network.add_input(Input { name: name.into(), shape: shape.into() })
    }

    /// Appends a layer after the last one, optionally with a name: `Flatten` or `Flatten.named("flat")`. If the layer is
    /// invalid, using the model returns an error, and [`Model::summary`] shows it.
    pub fn add(&mut self, layer: impl Into<Named>) -> &mut Model {
        self.network.push(layer.into());
        self
    }

    /// Connects a layer to one or several nodes and returns its output, which becomes the model's only output. If the layer is
    /// invalid, using the model returns an error, and [`Model::summary`] shows it.
    pub fn apply(&mut self, layer: impl Into<Named>, inputs: impl AsRef<[Node]>) -> Node {
        self.network.push_on(layer.into(), inputs.as_ref())
    }

    /// Calls a layer or nested model of this model again on one or several nodes, with the same weights, and returns its
    /// output, which becomes the model's output: Keras' shared layers. For a nested model with several outputs, they become
    /// the model's [outputs](Model::outputs), and the first is returned. If there is no such layer or the inputs do not fit,
    /// using the model returns an error.
    ///
    /// # Example
    /// Two branches of an image with one convolution:
    /// ```
    /// use kiln::Model;
    /// use kiln::layers::{Concatenate, Conv2D, Layer, MaxPooling2D, Padding};
    ///
    /// let mut model = Model::new([8, 8, 3]);
    /// let image = model.input();
    /// let small = model.apply(MaxPooling2D::new([1, 1]).strides([1, 1]), image);
    /// let a = model.apply(Conv2D::new(4, [3, 3]).padding(Padding::Same).named("shared"), image);
    /// let b = model.apply_again("shared", small);
    /// model.apply(Concatenate::new(), [a, b]);
    /// assert_eq!(model.summary().parameters(), 3 * 3 * 3 * 4 + 4);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn apply_again(&mut self, layer: &str, inputs: impl AsRef<[Node]>) -> Node {
        self.network.push_again(layer, inputs.as_ref(), None);
        self.network.output()
    }

    /// Connects a copy of another model and its weights to a node for each of its inputs, as one layer with the other
    /// model's name, and returns its output, which becomes this model's output: Keras' nested models. If it has several
    /// outputs, they become this model's [outputs](Model::outputs), and the first is returned. [`Model::layers`] lists its
    /// layers under paths, `model/layer`. If the other model does not fit the nodes, using this model returns an error.
    ///
    /// # Example
    /// ```
    /// use kiln::layers::{Dense, GlobalAveragePooling2D};
    /// use kiln::{Model, models};
    ///
    /// let base = models::vgg16([32, 32, 3], models::Top::None);
    /// let mut model = Model::new([32, 32, 3]);
    /// let features = model.apply_model(&base, model.input())?;
    /// let means = model.apply(GlobalAveragePooling2D::new(), features);
    /// model.apply(Dense::new(2), means);
    /// model.layers("vgg16")?.set_trainable(false);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the layers of either model do not fit together, or a device fails.
    pub fn apply_model(&mut self, model: &Model, inputs: impl AsRef<[Node]>) -> Result<Node> {
        block_on(self.apply_model_async(model, inputs.as_ref()))
    }

    async fn apply_model_async(&mut self, model: &Model, inputs: &[Node]) -> Result<Node> {
        model.network.check()?;
        let mut weights = self.flat_weights_async().await?;
        weights.extend(model.flat_weights_async().await?);
        self.network.push_model(&model.network, inputs, None);
        if self.network.values() == weights.len() {
            (self.session, self.weights) = (None, weights);
        }
        Ok(self.network.output())
    }

    /// The input of the model; the first, if there are several.
    pub fn input(&self) -> Node {
        self.network.input()
    }

    /// The inputs of the model.
    pub fn inputs(&self) -> Vec<Node> {
        self.network.input_nodes()
    }

    /// The output of the model: by default, that of the last layer. The first, if there are several.
    pub fn output(&self) -> Node {
        self.network.output()
    }

    /// The outputs of the model.
    pub fn outputs(&self) -> &[Node] {
        &self.network.outputs
    }

    /// Sets the output of the model to a node, or the outputs to several; each layer must be connected to one of them.
    /// [`Model::sub_model`] leaves out layers that are not. An output may also be used by layers.
    ///
    /// # Errors
    /// If there is none, or a node of another model or inside of a nested one.
    pub fn set_output(&mut self, outputs: impl AsRef<[Node]>) -> Result<()> {
        let outputs = self.checked_outputs(outputs.as_ref())?;
        if let Some(&inside) = outputs.iter().find(|&&node| self.network.is_inside(node)) {
            let expected = "the input of this model or the output of one of its own layers".to_owned();
            let found = format!("the output of {}, inside of a nested model", self.network.name_of(inside));
            return Err(Error::Argument { name: "node", expected, found });
        }
        self.network.set_outputs(outputs);
        Ok(())
    }

    /// The part of the model up to a node, or to several as its outputs, with copies of its weights: a feature extractor
    /// from an intermediate layer, for example. It has the inputs that these nodes depend on, and is not on a device.
    ///
    /// # Example
    /// ```
    /// # use kiln::models;
    /// let lenet = models::lenet([28, 28, 1], 10);
    /// let features = lenet.sub_model(lenet.get_layer("pool2")?.output)?;
    /// assert_eq!(features.output_shape()?, &[7, 7, 50].into());
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the layers do not fit together, there is no node or one of another model, or the device fails.
    pub fn sub_model(&self, outputs: impl AsRef<[Node]>) -> Result<Model> {
        block_on(self.sub_model_async(outputs.as_ref()))
    }

    async fn sub_model_async(&self, outputs: &[Node]) -> Result<Model> {
        self.network.check()?;
        let outputs = self.checked_outputs(outputs)?;
        let all = self.flat_weights_async().await?;
        let (network, variables) = self.network.up_to(outputs);
        let weights = variables.into_iter().flat_map(|i| &all[self.network.variables[i].range()]).copied().collect();
        Ok(Model { weights, seed: self.seed, ..Model::of(network) })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.network.name
    }

    /// The input shape for one sample, of the first input.
    pub fn input_shape(&self) -> &Shape {
        &self.network.inputs[0].shape
    }

    /// The name and the shape for one sample of each input.
    pub fn input_shapes(&self) -> Vec<(&str, &Shape)> {
        self.network.inputs.iter().map(|input| (input.name.as_str(), &input.shape)).collect()
    }

    /// The output shape for one sample, of the first output.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn output_shape(&self) -> Result<&Shape> {
        let shapes = self.output_shapes()?;
        Ok(shapes.first().map_or(self.input_shape(), |(_, shape)| shape))
    }

    /// The name and the shape for one sample of each output. As in Keras, the name is that of the layer or nested model that
    /// computes it.
    ///
    /// # Errors
    /// If the layers do not fit together.
    pub fn output_shapes(&self) -> Result<Vec<(&str, &Shape)>> {
        self.network.check()?;
        Ok(self.network.output_names().into_iter().zip(self.network.output_shapes()).collect())
    }

    /// The layers with their output shapes and numbers of parameters. Prints as in Keras.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.network)
    }

    /// Reinitializes all weights with a seed. The default seed is 0.
    ///
    /// # Errors
    /// If the layers do not fit together or the device fails.
    pub fn initialize(&mut self, seed: u64) -> Result<()> {
        self.network.check()?;
        self.seed = seed;
        let drawn = weights::draw(&self.network, seed, Vec::new())?;
        self.put_weights(drawn)
    }

    /// Configures the model for training on a device. Keeps the weights but resets the optimizer's state.
    ///
    /// # Errors
    /// If the layers do not fit together, an argument is invalid or the device fails.
    pub async fn compile_async(&mut self, device: &Device, compile: Compile) -> Result<()> {
        self.network.check()?;
        compile.check()?;
        let variables: Vec<&str> = self.network.variables.iter().map(|variable| variable.name.as_str()).collect();
        compile.optimizer.weight_decay().check(&variables)?;
        Objectives::new(&compile, &self.network)?;
        for (layer, normalization) in self.network.split_normalizations() {
            tracing::warn!(
                "only one of {layer} and its {normalization} is frozen: freeze both or neither, since they were trained \
                 together"
            );
        }
        let precision = compile.precision;
        self.start_session(device, Some(compile), precision).await
    }

    /// As [`Model::compile_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::compile_async`].
    pub fn compile(&mut self, device: &Device, compile: Compile) -> Result<()> {
        block_on(self.compile_async(device, compile))
    }

    /// Estimates whether a device has enough memory to compile the model like this and train it with batches of this size,
    /// from the variables, their gradients, the optimizer's slots, and the layer with the largest input and output. Returns
    /// immediately, before weights are initialized and data are read. If the free memory is unknown, as for discrete GPUs,
    /// the check passes.
    ///
    /// # Errors
    /// [`Error::Memory`] if it does not, and if the layers do not fit together.
    pub fn check_memory(&self, device: &Device, compile: &Compile, batch_size: usize) -> Result<()> {
        self.network.check()?;
        check_memory(&self.network, device, Some(compile), batch_size)
    }

    /// Checks whether the compiled model can be trained on a data set in batches of this size: samples and labels must fit
    /// the model and its loss, the loss must fit the last layer, and a step must fit the device's limits. [`Model::fit`]
    /// makes the same checks when it begins; this method has no side effects.
    ///
    /// # Errors
    /// As [`Model::fit`] before its first step, except for the memory of the data.
    pub fn check(&mut self, data: &Dataset, batch_size: usize) -> Result<()> {
        self.check_data("check", data)?;
        self.session("check")?.check(data, batch_size)
    }

    /// Moves the model to a device, for predictions. [`Model::compile`] includes this.
    ///
    /// # Errors
    /// If the layers do not fit together or the device fails.
    pub async fn to_device_async(&mut self, device: &Device) -> Result<()> {
        self.start_session(device, None, Precision::Float32).await
    }

    /// As [`Model::to_device_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::to_device_async`].
    pub fn to_device(&mut self, device: &Device) -> Result<()> {
        block_on(self.to_device_async(device))
    }

    /// The memory of the model on its device, in bytes: weights, the optimizer's slots, data sets, and intermediate results
    /// of training steps, evaluations and predictions. 0 if it is not on a device.
    pub fn device_bytes(&self) -> u64 {
        self.locked().map_or(0, |session| session.bytes())
    }

    /// The learning rate of the next training step.
    ///
    /// # Errors
    /// If the model is not compiled.
    pub fn learning_rate(&self) -> Result<f64> {
        self.trained("learning_rate").map(|session| session.learning_rate())
    }

    /// The state of dynamic loss scaling; `None` unless the model is compiled with
    /// [`Precision::Mixed`](crate::Precision::Mixed).
    ///
    /// # Errors
    /// If the model is not compiled, or the device is lost.
    pub async fn loss_scale_async(&self) -> Result<Option<LossScale>> {
        let reading = self.trained("loss_scale")?.loss_scale()?;
        reading.await
    }

    /// As [`Model::loss_scale_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::loss_scale_async`].
    pub fn loss_scale(&self) -> Result<Option<LossScale>> {
        block_on(self.loss_scale_async())
    }

    /// Sets the state of dynamic loss scaling from the next training step on.
    ///
    /// # Errors
    /// [`Error::Argument`] if the scale is not a power of two from 2^-126 to 2^126, or the model is compiled in another
    /// precision; if the model is not compiled.
    pub fn set_loss_scale(&mut self, state: LossScale) -> Result<()> {
        self.trained("set_loss_scale")?.set_loss_scale(state)
    }

    /// Sets the learning rate from the next training step until the next [`Model::compile`].
    ///
    /// # Errors
    /// If the model is not compiled, the rate is invalid, or the optimizer's learning rate is a schedule.
    pub fn set_learning_rate(&mut self, rate: f64) -> Result<()> {
        self.compiled("set_learning_rate")?;
        self.session("set_learning_rate")?.set_learning_rate(rate)
    }

    /// Trains for `steps` steps and measures the time of each kernel call in a step, averaged over all steps except the
    /// first, which is a warm-up. Cycles over the data set. The weights change as in [`Model::fit`]. Applies the
    /// augmentation of the last `fit`. With [`Compile::accumulate`] above 1, shards of one size share a program, and the
    /// time of a call is that of all its runs within a step.
    ///
    /// # Errors
    /// If the model is not compiled, a batch is empty or larger than the data set, the data set does not fit the model
    /// or the device, or the device fails or cannot time its calls.
    pub fn profile(&mut self, data: &Dataset, batch_size: usize, steps: usize) -> Result<Profile> {
        if !(1..=data.len()).contains(&batch_size) {
            let expected = format!("1 to {}, the number of samples", data.len());
            return Err(Error::Argument { name: "batch_size", expected, found: batch_size.to_string() });
        }
        self.check_data("profile", data)?;
        let session = self.session("profile")?;
        session.load(Role::Train, data, &session.network().input_nodes())?;
        session.profile(Role::Train, batch_size, steps)
    }

    /// The model's output for each sample of a data set, with or without labels.
    ///
    /// The first call for a type of samples or a batch size creates buffers and compiles kernels; later calls reuse them.
    /// Several threads or tasks can predict with one model concurrently.
    ///
    /// # Errors
    /// If the model is not on a device or has several outputs, the data set does not fit the model or the device, or the
    /// device fails.
    pub async fn predict_async(&self, data: &Dataset) -> Result<Predictions> {
        let count = self.network.outputs.len();
        let mut outputs = match count {
            1 => self.predict_outputs_async(data).await?,
            _ => Vec::new(),
        };
        outputs.pop().ok_or_else(|| {
            let expected = "a model with one output; use `predict_outputs`".to_owned();
            Error::Argument { name: "predict", expected, found: format!("{count} outputs") }
        })
    }

    /// Each output of the model for each sample of a data set, as [`Model::predict`] for a model with several outputs.
    ///
    /// # Errors
    /// If the model is not on a device, the data set does not fit the model or the device, or the device fails.
    pub async fn predict_outputs_async(&self, data: &Dataset) -> Result<Vec<Predictions>> {
        self.check_scaling(data)?;
        let values = session::predict(self.ready("predict")?, data).await?;
        let shapes = self.network.output_shapes().map(|shape| shape.batched(data.len()));
        Ok(shapes.zip(values).map(|(shape, values)| Predictions { shape, values }).collect())
    }

    /// As [`Model::predict_outputs_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::predict_outputs_async`].
    pub fn predict_outputs(&self, data: &Dataset) -> Result<Vec<Predictions>> {
        block_on(self.predict_outputs_async(data))
    }

    /// As [`Model::predict_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::predict_async`].
    pub fn predict(&self, data: &Dataset) -> Result<Predictions> {
        block_on(self.predict_async(data))
    }

    /// The model's output for concatenated samples, which are used as they are, without rescaling.
    ///
    /// # Errors
    /// As [`Model::predict`].
    pub fn predict_values(&self, samples: Vec<f32>) -> Result<Predictions> {
        self.predict(&Dataset::from_f32(self.input_shape().clone(), samples, None)?)
    }

    /// All weights, in the order of the layers.
    ///
    /// # Errors
    /// If the layers do not fit together or the device fails.
    pub async fn get_weights_async(&self) -> Result<Vec<Weight>> {
        self.network.check()?;
        Ok(weights::unpack(&self.network, &self.flat_weights_async().await?))
    }

    /// As [`Model::get_weights_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::get_weights_async`].
    pub fn get_weights(&self) -> Result<Vec<Weight>> {
        block_on(self.get_weights_async())
    }

    /// Replaces all weights, matched by name.
    ///
    /// # Errors
    /// [`Error::Weights`] if they do not fit the model, and if the device fails.
    pub fn set_weights(&mut self, new: &[Weight]) -> Result<()> {
        self.network.check()?;
        let flat = weights::pack(&self.network, "the list of weights", new)?;
        self.put_weights(flat)
    }

    /// # Errors
    /// If the model is not compiled, a data set's labels do not fit the model and its loss, or its bytes would be scaled
    /// twice.
    pub(crate) fn check_data(&mut self, action: &'static str, data: &Dataset) -> Result<()> {
        self.compiled(action)?;
        self.check_scaling(data)?;
        self.session(action)?.check_targets(data)
    }

    pub(crate) fn callbacks(&self) -> &CallbackStates {
        &self.callbacks
    }

    pub(crate) fn callbacks_mut(&mut self) -> &mut CallbackStates {
        &mut self.callbacks
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// The session, if the model is on a device and unchanged since.
    pub(crate) fn session(&mut self, action: &'static str) -> Result<&mut Session> {
        self.network.check()?;
        let not_ready = self.not_ready(action, "compile");
        let session = self.session.as_mut().map(|session| session.get_mut().unwrap_or_else(PoisonError::into_inner));
        session.filter(|session| session.network().is_copy_of(&self.network)).ok_or(not_ready)
    }

    /// The session, if the model is on a device and unchanged since.
    fn ready(&self, action: &'static str) -> Result<&Mutex<Session>> {
        self.network.check()?;
        let is_current = |session: &&Mutex<Session>| locked(session).network().is_copy_of(&self.network);
        self.session.as_ref().filter(is_current).ok_or_else(|| self.not_ready(action, "to_device"))
    }

    /// The session of a compiled model, locked.
    pub(crate) fn trained(&self, action: &'static str) -> Result<MutexGuard<'_, Session>> {
        let session = self.locked().filter(|session| session.compiled().is_some());
        session.ok_or_else(|| self.not_ready(action, "compile"))
    }

    fn locked(&self) -> Option<MutexGuard<'_, Session>> {
        self.session.as_ref().map(locked)
    }

    pub(crate) fn compiled(&mut self, action: &'static str) -> Result<&Compile> {
        let not_ready = self.not_ready(action, "compile");
        self.session(action)?.compiled().ok_or(not_ready)
    }

    fn not_ready(&self, action: &'static str, call: &'static str) -> Error {
        Error::NotReady { model: self.network.name.clone(), action, call }
    }

    /// The device of the model.
    fn device(&self) -> Result<Device> {
        self.trained("a device").map(|session| session.device().clone())
    }

    /// The nodes, if they can be outputs.
    ///
    /// # Errors
    /// If there is none, or one of another model.
    fn checked_outputs<'a>(&self, nodes: &'a [Node]) -> Result<&'a [Node]> {
        let expected = "the input of this model or the output of one of its layers".to_owned();
        let found = if nodes.is_empty() { "no node" } else { "a node of another model" }.to_owned();
        match !nodes.is_empty() && nodes.iter().all(|&node| self.network.has(node)) {
            true => Ok(nodes),
            false => Err(Error::Argument { name: "node", expected, found }),
        }
    }

    async fn start_session(&mut self, device: &Device, compile: Option<Compile>, precision: Precision) -> Result<()> {
        self.network.check()?;
        check_memory(&self.network, device, compile.as_ref(), 1)?;
        let weights = self.flat_weights_async().await?;
        let session = Session::new(device, &self.network, compile, precision, &weights).await?;
        self.session = Some(Mutex::new(session));
        (self.weights, self.callbacks) = (Vec::new(), CallbackStates::default());
        Ok(())
    }

    /// All weights, concatenated. Initializes those that are not initialized yet.
    async fn flat_weights_async(&self) -> Result<Vec<f32>> {
        let reading = self.locked().map(|session| session.weights()).transpose()?;
        let known = match reading {
            Some(weights) => weights.await?,
            None => self.weights.clone(),
        };
        weights::draw(&self.network, self.seed, known)
    }

    fn flat_weights(&self) -> Result<Vec<f32>> {
        block_on(self.flat_weights_async())
    }

    fn put_weights(&mut self, flat: Vec<f32>) -> Result<()> {
        if let Some(session) = self.locked().filter(|session| session.network().is_copy_of(&self.network)) {
            return session.write_weights(&flat);
        }
        (self.session, self.weights) = (None, flat);
        Ok(())
    }
}
