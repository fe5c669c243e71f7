//! Models in files.

use std::path::Path;

use super::Model;
use crate::{Result, saving};

impl Model {
    /// Writes `model.json`, in the form of Keras' `to_json`, and `weights.safetensors`, with keys `layer/variable` and
    /// Keras' layouts, into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When a file cannot be written or the device fails.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        saving::save(self, folder.as_ref())
    }

    /// The model that was saved in a folder. [`Model::to_device`] or [`Model::compile`] makes it ready.
    ///
    /// # Errors
    /// When a file cannot be read, holds something that Kiln does not know, or the two do not fit each other.
    pub fn load(folder: impl AsRef<Path>) -> Result<Model> {
        saving::load(folder.as_ref())
    }

    /// The model that a file in the form of Keras' `to_json` describes, with fresh weights.
    ///
    /// # Errors
    /// When the file cannot be read or holds something that Kiln does not know.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Model> {
        saving::load_model_json(path.as_ref())
    }

    /// Writes all weights into a safetensors file, with keys `layer/variable` and Keras' layouts.
    ///
    /// # Errors
    /// When the file cannot be written or the device fails.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::save_weights(path.as_ref(), &self.get_weights()?)
    }

    /// Replaces all weights by those of a safetensors file, found by their keys `layer/variable`.
    ///
    /// # Errors
    /// When the file cannot be read or does not fit the model: all that is missing, too much or of another shape.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let new = saving::load_weights(path, &self.network.name)?;
        self.set_weights_from(&path.display().to_string(), &new)
    }

    /// Writes the training of a compiled model into a safetensors file: the weights, what the optimizer keeps, and how
    /// far training is. See [`Model::load_checkpoint`].
    ///
    /// # Errors
    /// When the model is not compiled, the file cannot be written or the device fails.
    pub fn save_checkpoint(&self, path: impl AsRef<Path>) -> Result<()> {
        saving::checkpoint::save(self, path.as_ref())
    }

    /// Puts a compiled model where the training was that [`Model::save_checkpoint`] wrote into a file, and gives how
    /// many epochs were over then. With that as [`Fit::initial_epoch`](crate::Fit::initial_epoch) and the same data,
    /// arguments and device, training goes on to the same bits as one that was not interrupted.
    ///
    /// # Errors
    /// When the model is not compiled, the file cannot be read or does not fit the model or its optimizer.
    pub fn load_checkpoint(&mut self, path: impl AsRef<Path>) -> Result<usize> {
        saving::checkpoint::load(self, path.as_ref())
    }
}
