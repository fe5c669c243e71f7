//! Saving and loading of models.

use std::path::Path;

use super::Model;
use crate::{LoadModel, LoadWeights, Result, saving};

impl Model {
    /// Saves the model and its weights, in the format that the name ends with:
    ///
    /// - `m.keras`: Keras 3's file, which `keras.models.load_model` opens (with the feature `hdf5`);
    /// - `m.h5`: Keras' legacy file of a whole model, with the layers as Keras 3 writes them (with the feature `hdf5`);
    /// - `m.onnx`: an ONNX graph of operators of version 17 (with the feature `onnx`), whose inputs and outputs are named after the
    ///   model's inputs and last layers. They have Kiln's axes, the channels last, and any number of samples. Layers of training
    ///   such as dropout are left out. A custom layer, one that is called as in training, or weights of more than 2 GiB are
    ///   errors;
    /// - otherwise a folder, which is created if missing, with `model.json`, in the format of Keras' `to_json`, and
    ///   `weights.safetensors`, with keys `layer/variable` and Keras' layouts.
    ///
    /// # Errors
    /// If a file cannot be written or the device fails. An existing file stays unchanged.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::save(self, path.as_ref())
    }

    /// Loads a model and its weights from a folder written by [`Model::save`], or with the feature `hdf5` from a `.keras`
    /// file of Keras 3, its unpacked folder, or a whole model in a `.h5` file of any version of Keras, or with the feature `onnx`
    /// from an ONNX file. Call [`Model::to_device`] or [`Model::compile`] before using it.
    ///
    /// An ONNX file has its weights within. Images get their channels last, also those of inputs and outputs:
    /// `[N, 3, 224, 224]` in the file is `[224, 224, 3]`. So do sequences, if a convolution, pooling or normalization reads the
    /// input. An output that is computed along another axis has the order of the file, and so have sequences if no input is
    /// one. Inputs that no output depends on are left out. Layers are named after their weights (`layer1.0.conv1`) or nodes. Weights that
    /// several nodes share become weights of several layers. An operator, attribute or constant that no layer of Kiln's has is
    /// an error that names the node:
    ///
    /// | operators of ONNX (versions 7 to 28) | read as | not read |
    /// |---|---|---|
    /// | Conv, ConvTranspose | images and sequences | volumes; ConvTranspose with groups or `output_shape` |
    /// | MaxPool, AveragePool | images and sequences | dilation; some paddings of windows off the pixels' centres |
    /// | GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax | over all axes but the batch and one | over others |
    /// | Gemm, MatMul | a constant matrix as the second factor | `transA`, two computed factors |
    /// | BatchNormalization, LayerNormalization, InstanceNormalization, GroupNormalization | as trained | training mode |
    /// | Relu, LeakyRelu, PRelu, Elu, Celu, Selu, ThresholdedRelu, Clip, Sigmoid, HardSigmoid, HardSwish, Softmax, LogSoftmax, Softplus, Softsign, Tanh, Gelu, Mish, Shrink, Exp, Neg | | other constants of Celu, Selu and Shrink than the default |
    /// | Add, Sub, Mul, Div, Max, Min, Sum, Mean | two values of a sample, or one and a number or a constant along one axis | a computed divisor; constants along several axes |
    /// | Concat, Split, Slice, Gather | adjacent places along axes of a sample | steps; other indices; the batch |
    /// | Reshape, Flatten, Squeeze, Unsqueeze, Transpose | if the batch stays the first axis | |
    /// | Pad | zeros (or cropping) of images and sequences | other values and modes |
    /// | Resize, Upsample | images, `nearest` and `linear` with the result of half-pixel centres | `cubic`, antialiasing |
    /// | Identity, Cast, Dropout | | Cast to whole numbers |
    /// | Constant, ConstantOfShape, Shape and functions of constants | computed when the file is read | |
    ///
    /// # Errors
    /// If a file cannot be read or has unsupported content, or architecture and weights do not match.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(path, LoadModel::default())
    }

    /// [`Model::load`] for a model with custom layers from a registry, or with open extents of its input:
    /// ```no_run
    /// # use kiln::{LoadModel, Model};
    /// let options = LoadModel { input_shape: Some([224, 224, 3].into()), ..LoadModel::default() };
    /// let model = Model::load_with("backbone.keras", options)?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Example
    /// Custom layers: see [`Registry`](crate::layers::Registry).
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(path: impl AsRef<Path>, options: LoadModel) -> Result<Model> {
        saving::load(path.as_ref(), &options)
    }

    /// Loads the architecture of a model from a file in the format of Keras' `to_json`, or from one of a whole model, with
    /// newly initialized weights.
    ///
    /// # Errors
    /// If the file cannot be read or has unsupported content.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Model> {
        Model::from_json_file_with(path, LoadModel::default())
    }

    /// [`Model::from_json_file`] for a model with custom layers from a registry, or with open extents of its input.
    ///
    /// # Errors
    /// As [`Model::from_json_file`].
    pub fn from_json_file_with(path: impl AsRef<Path>, options: LoadModel) -> Result<Model> {
        saving::load_model_json(path.as_ref(), &options)
    }

    /// The text of `model.json`: the layers in the format of Keras' `to_json`, without weights.
    ///
    /// # Errors
    /// If a layer cannot be saved.
    pub fn to_json(&self) -> Result<String> {
        saving::json_text(self)
    }

    /// Saves all weights to a safetensors file, with keys `layer/variable` and Keras' layouts, or if the name ends with
    /// `.weights.h5`, to an HDF5 file as Keras 3's `save_weights` does (with the feature `hdf5`).
    ///
    /// # Errors
    /// If the file cannot be written or the device fails.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::save_weights(self, path.as_ref(), &self.get_weights()?)
    }

    /// Loads all weights from a file in one of these formats:
    ///
    /// - safetensors files with keys `layer/variable` and Keras' layouts, written by [`Model::save_weights`];
    /// - PyTorch's state dicts, as safetensors files or with the feature `hdf5` as `.pth` and `.pt` files: those of
    ///   torchvision's and timm's VGG16 and InceptionV3 for models whose layers have Keras' names, of the networks of
    ///   [`models::torchvision`](crate::models::torchvision), and of any model whose layers have the names of PyTorch's
    ///   modules (`layer1.0.conv1`). No object in a `.pth` file is executed; those that are not part of a state dict are
    ///   errors.
    ///   If the file has a batch normalization factor that the model's layer lacks, it is multiplied into the preceding
    ///   kernel, which is equivalent in inference and for frozen layers;
    /// - with the feature `hdf5`, the `.h5` files of Keras 1 and 2, of weights or whole models, and the `.weights.h5` and
    ///   `.keras` files of Keras 3.
    ///
    /// Elements are F32, F16 or BF16 in safetensors files, F32 or F16 in others. The files do not specify the
    /// preprocessing of pixels: Keras' VGG16 expects another one than torchvision's. Keras' average pooling excludes
    /// padding, torchvision's InceptionV3 includes it, so the same weights produce slightly different features.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the model, with a list of missing, unexpected and mis-shaped variables.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, LoadWeights::default()).map(|_| ())
    }

    /// [`Model::load_weights`] from a file that only fits some of the layers. Returns the names of the layers that keep
    /// their weights.
    ///
    /// # Errors
    /// As [`Model::load_weights`], for the layers that the options include, and if they include none.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, options: LoadWeights) -> Result<Vec<String>> {
        self.network.check()?;
        let loaded = saving::load_weights(&self.network, path.as_ref(), options, || self.flat_weights())?;
        self.put_weights(loaded.values)?;
        Ok(loaded.kept)
    }

    /// Saves a checkpoint of the training of a compiled model to a safetensors file: the weights, the optimizer's slots,
    /// the number of epochs and steps, the learning rate, and the states of the callbacks of the last
    /// [`fit`](Model::fit). See [`Model::load_checkpoint`]. In a callback, call it from
    /// [`on_checkpoint`](crate::Callback::on_checkpoint).
    ///
    /// # Errors
    /// If the model is not compiled, the file cannot be written or the device fails, and
    /// [`Error::CheckpointTooEarly`](crate::Error::CheckpointTooEarly) if called from `on_epoch_end`.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::checkpoint::save(self, path.as_ref())
    }

    /// Restores the training of a compiled model from a file written by [`Model::save_checkpoint`], and returns the number
    /// of completed epochs. With this number as [`Fit::initial_epoch`](crate::Fit::initial_epoch) and the same data,
    /// arguments and device, training continues bit for bit as if it had not been interrupted. The callbacks of the next
    /// `fit` are restored from their states, matched by name ([`CallbackState`](crate::callbacks::CallbackState)).
    ///
    /// With the feature `hdf5`, the file may also be a `.keras` file of a model that Keras 3 has compiled and trained with the
    /// same optimizer (SGD, Adam, AdamW, RMSprop, Adagrad or Adadelta): the weights, the optimizer's state, the number of
    /// steps and the learning rate are Keras', the number of epochs is 0. The trained variables must have the names of the
    /// file, as those of a model that [`Model::load`] has read from it; custom layers are an error.
    ///
    /// Changed arguments take effect. The learning rate of the checkpoint, which callbacks may have changed, is restored
    /// only if the model is compiled with the same learning rate as the checkpoint's.
    ///
    /// # Errors
    /// If the model is not compiled, the file cannot be read or does not fit the model or its optimizer.
    pub fn load_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        saving::checkpoint::load(self, path.as_ref())
    }
}
