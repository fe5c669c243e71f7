//! Models in files.

use std::path::Path;

use super::Model;
use crate::layers::Registry;
use crate::{LoadWeights, Result, saving};

impl Model {
    /// Writes `model.json`, in the form of Keras' `to_json`, and `weights.safetensors`, with keys `layer/variable` and
    /// Keras' layouts, into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// If a file cannot be written or the device fails.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        saving::save(self, folder.as_ref())
    }

    /// The model that was saved in a folder. [`Model::to_device`] or [`Model::compile`] makes it ready.
    ///
    /// # Errors
    /// If a file cannot be read, holds something that Kiln does not know, or the two do not fit each other.
    pub fn load(folder: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(folder, &Registry::default())
    }

    /// [`Model::load`] for a model with layers of your own classes, which are in the registry.
    ///
    /// # Example
    /// See [`Registry`].
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load_with(folder: impl AsRef<Path>, registry: &Registry) -> Result<Model> {
        saving::load(folder.as_ref(), registry)
    }

    /// The model that a file in the form of Keras' `to_json` describes, with fresh weights.
    ///
    /// # Errors
    /// If the file cannot be read or holds something that Kiln does not know.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Model> {
        Model::from_json_file_with(path, &Registry::default())
    }

    /// [`Model::from_json_file`] for a model with layers of your own classes, which are in the registry.
    ///
    /// # Errors
    /// As [`Model::from_json_file`].
    pub fn from_json_file_with(path: impl AsRef<Path>, registry: &Registry) -> Result<Model> {
        saving::load_model_json(path.as_ref(), registry)
    }

    /// The text of `model.json`: the layers in the form of Keras' `to_json`, without weights.
    ///
    /// # Errors
    /// If a layer has no such form.
    pub fn to_json(&self) -> Result<String> {
        saving::model_json(self)
    }

    /// Writes all weights into a safetensors file, with keys `layer/variable` and Keras' layouts.
    ///
    /// # Errors
    /// If the file cannot be written or the device fails.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::save_weights(path.as_ref(), &self.get_weights()?)
    }

    /// Replaces all weights by those of a file, of any of these kinds:
    ///
    /// - safetensors files with keys `layer/variable` and Keras' layouts, as [`Model::save_weights`] writes them;
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
    /// If the file cannot be read or does not fit the model: all that is missing, too much or of another shape.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_weights_with(path, LoadWeights::default()).map(|_| ())
    }

    /// [`Model::load_weights`] from a file that does not fit in all layers. Gives the names of the layers that keep
    /// the weights they have.
    ///
    /// # Errors
    /// As [`Model::load_weights`], of what the options do not leave out, and when they leave nothing.
    pub fn load_weights_with(&mut self, path: impl AsRef<Path>, options: LoadWeights) -> Result<Vec<String>> {
        self.network.check()?;
        let loaded = saving::load_weights(&self.network, path.as_ref(), options, || self.flat_weights())?;
        self.put_weights(loaded.values)?;
        Ok(loaded.kept)
    }

    /// Writes the training of a compiled model into a safetensors file: the weights, what the optimizer keeps, how far
    /// training is, the learning rate, and the states of the callbacks of the last [`fit`](Model::fit). See
    /// [`Model::load_checkpoint`]. A callback calls it in
    /// [`on_checkpoint`](crate::Callback::on_checkpoint).
    ///
    /// # Errors
    /// If the model is not compiled, the file cannot be written or the device fails, and
    /// [`Error::CheckpointTooEarly`](crate::Error::CheckpointTooEarly) within `on_epoch_end`.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::checkpoint::save(self, path.as_ref())
    }

    /// Puts a compiled model where the training was that [`Model::save_checkpoint`] wrote into a file, and gives how
    /// many epochs were over then. With that as [`Fit::initial_epoch`](crate::Fit::initial_epoch) and the same data,
    /// arguments and device, training goes on to the same bits as one that was not interrupted: the callbacks of the
    /// next `fit` are restored from their states, found by their names
    /// ([`CallbackState`](crate::callbacks::CallbackState)).
    ///
    /// Arguments that are not the same take effect. The learning rate of the checkpoint, which callbacks may have changed,
    /// is restored if the model is compiled with the one that it was compiled with then; another one stays.
    ///
    /// # Errors
    /// If the model is not compiled, the file cannot be read or does not fit the model or its optimizer.
    pub fn load_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        saving::checkpoint::load(self, path.as_ref())
    }
}
