//! Training behind a frozen body, what it gives being computed once.

use std::path::{Path, PathBuf};

use kiln_graph::block_on;
use sha2::{Digest, Sha256};

use super::Model;
use crate::callbacks::Callback;
use crate::data::Dataset;
use crate::weights::Weight;
use crate::{Error, Fit, History, Result, saving};

/// What the metadata of a file of features has as a key. Another file is never replaced.
const MARK: &str = "kiln.features";

/// Where [`Model::fine_tune`] keeps what the frozen layers give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FeatureCache {
    /// In memory, for this call only.
    #[default]
    Memory,
    /// In a safetensors file, where a later call finds it again if weights, preprocessing and samples are the same.
    /// Features of other weights are dropped from it. A file that holds something else is left as it is, with an error.
    File(PathBuf),
}

impl Model {
    /// Trains as [`Model::fit`] does, to the same losses, in a fraction of the time: what the frozen layers below the
    /// first trainable one give is computed once per sample, not in each step. Frozen are layers without variables too,
    /// but not those that draw random numbers.
    ///
    /// The model stays whole: callbacks see it, and what is saved is all of it.
    ///
    /// # Example
    /// ```no_run
    /// use kiln::data::{ImageOptions, Preprocessing, image_dataset_from_directory};
    /// use kiln::layers::{Activation, Dense, GlobalAveragePooling2D};
    /// use kiln::models::{Top, inception_v3};
    /// use kiln::losses::SparseCategoricalCrossentropy;
    /// use kiln::{Compile, Device, FeatureCache, Fit};
    ///
    /// let options = ImageOptions { image_size: Some([299, 299]), ..ImageOptions::default() };
    /// let photos = image_dataset_from_directory("photos", options)?.preprocess_input(Preprocessing::Tf)?;
    /// let mut model = inception_v3([299, 299, 3], Top::None);
    /// model.load_weights("inception_v3.safetensors")?;
    /// model.layers(..)?.set_trainable(false);
    /// let x = model.apply(GlobalAveragePooling2D::new(), model.output());
    /// let x = model.apply(Dense::new(1024).activation(Activation::Relu), x);
    /// model.apply(Dense::new(photos.classes()).activation(Activation::Softmax), x);
    ///
    /// let loss = SparseCategoricalCrossentropy::default().into();
    /// model.compile(&Device::best()?, Compile { loss, ..Compile::default() })?;
    /// let fit = Fit { epochs: 5, validation_split: 0.2, ..Fit::default() };
    /// model.fine_tune(&photos, FeatureCache::File("features.safetensors".into()), fit)?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::fit`], and when no layer below the first trainable one is frozen, an augmentation is to change the
    /// images, or the file cannot be read or written.
    pub fn fine_tune(&mut self, data: &Dataset, cache: FeatureCache, fit: Fit<'_>) -> Result<History> {
        self.fine_tune_with_callbacks(data, cache, fit, &mut [])
    }

    /// As [`Model::fine_tune`], with callbacks that see each batch and epoch, in this order.
    ///
    /// # Errors
    /// As [`Model::fine_tune`], and those of the callbacks.
    pub fn fine_tune_with_callbacks(
        &mut self,
        data: &Dataset,
        cache: FeatureCache,
        fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        fit.check()?;
        self.check_data("fine_tune", data)?;
        if fit.augmentation.is_some() {
            let expected = "none, for features are computed once; fit() takes one".to_owned();
            return Err(Error::Argument { name: "augmentation", expected, found: "an augmentation".to_owned() });
        }
        let entry = self.trained("fine_tune")?.network().frozen_up_to();
        if entry == self.input() {
            let expected = "frozen layers below the first trainable one, in one piece".to_owned();
            let found = "none: freeze them before compile(), or use fit()".to_owned();
            return Err(Error::Argument { name: "model", expected, found });
        }
        tracing::info!(
            "what {} gives is computed once for each of {} samples",
            self.network.name_of(entry),
            data.len()
        );
        let mut body = Body { model: self.sub_model(entry)?, cache };
        body.model.to_device(&self.device()?)?;
        let features = body.features(data)?;
        let validation = fit.validation_data.map(|data| body.features(data)).transpose()?;
        drop(body);
        let fit = Fit { validation_data: validation.as_ref(), ..fit };
        block_on(self.fit_from((entry, &features), fit, callbacks))
    }
}

/// The frozen layers.
struct Body {
    model: Model,
    cache: FeatureCache,
}

impl Body {
    /// What the layers give for samples, with the labels and weights of these.
    fn features(&mut self, data: &Dataset) -> Result<Dataset> {
        let values = match self.cache.clone() {
            FeatureCache::Memory => self.model.predict(data)?.values,
            FeatureCache::File(path) => self.kept(&path, data)?,
        };
        let shape = self.model.output_shape()?.clone();
        let mut features = Dataset::from_f32(shape, values, data.labels().cloned())?;
        if let Some(weights) = data.sample_weights() {
            features = features.with_sample_weights(weights.to_vec())?;
        }
        Ok(features)
    }

    /// The features from a file, into which they are put if they are not there.
    fn kept(&mut self, path: &Path, data: &Dataset) -> Result<Vec<f32>> {
        let body = self.fingerprint()?;
        let name = format!("{body}/{}", fingerprint_of(data)?);
        let mut kept = if path.exists() { saving::read_marked(path, MARK, self.model.name())? } else { Vec::new() };
        kept.retain(|features| features.name.starts_with(&body));
        if let Some(found) = kept.iter().position(|features| features.name == name) {
            tracing::info!("the features of {} samples are in {}", data.len(), path.display());
            return Ok(kept.swap_remove(found).values);
        }
        let predictions = self.model.predict(data)?;
        kept.push(Weight { name, shape: predictions.shape, values: predictions.values });
        saving::save_marked(path, MARK, &kept)?;
        Ok(kept.pop().map(|features| features.values).unwrap_or_default())
    }

    /// What the layers and their weights are.
    fn fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(saving::model_json(&self.model)?);
        for weight in self.model.get_weights()? {
            hash.update(bytemuck::cast_slice::<f32, u8>(&weight.values));
        }
        Ok(short(hash))
    }
}

/// What the samples are as a model sees them.
fn fingerprint_of(data: &Dataset) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(format!("{} {} {} {:?}", data.sample_shape(), data.len(), data.scale(), data.offset()));
    data.standardization().hash_into(&mut |bytes| hash.update(bytes));
    for first in (0..data.len()).step_by(256) {
        hash.update(data.slice(first..data.len().min(first + 256))?);
    }
    Ok(short(hash))
}

fn short(hash: Sha256) -> String {
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
