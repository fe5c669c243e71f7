//! Training on the features of frozen layers, which are computed once.

use std::path::{Path, PathBuf};

use kiln_graph::block_on;
use sha2::{Digest, Sha256};

use super::Model;
use crate::callbacks::Callback;
use crate::data::Dataset;
use crate::weights::Weight;
use crate::{Error, Fit, History, Precision, Result, saving};

/// The key in the metadata of a file of features. Files without it are never replaced.
const MARK: &str = "kiln.features";

/// The storage of features in [`Model::fine_tune`]: the outputs of the frozen layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FeatureCache {
    /// In memory, for this call only.
    #[default]
    Memory,
    /// In a safetensors file, reused by later calls with the same weights, preprocessing and samples. Features of other
    /// weights are removed from it. If the file has other content, it is left unchanged and an error is returned.
    File(PathBuf),
}

impl Model {
    /// Trains like [`Model::fit`], with the same losses, in a fraction of the time: the output of the frozen layers before
    /// the first trainable one is computed once per sample, not in each step. Layers without variables count as frozen,
    /// unless they draw random numbers.
    ///
    /// Callbacks receive the whole model, and saving it includes the frozen layers.
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
    /// As [`Model::fit`], and if no layer before the first trainable one is frozen, `fit` has an augmentation, or the file
    /// cannot be read or written.
    pub fn fine_tune(&mut self, data: &Dataset, cache: FeatureCache, fit: Fit<'_>) -> Result<History> {
        self.fine_tune_with_callbacks(data, cache, fit, &mut [])
    }

    /// As [`Model::fine_tune_async`], and waits.
    ///
    /// # Errors
    /// As [`Model::fine_tune_async`].
    pub fn fine_tune_with_callbacks(
        &mut self,
        data: &Dataset,
        cache: FeatureCache,
        fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        block_on(self.fine_tune_async(data, cache, fit, callbacks))
    }

    /// As [`Model::fine_tune`], calling the callbacks in this order after each batch and epoch.
    ///
    /// # Errors
    /// As [`Model::fine_tune`], and those of the callbacks.
    pub async fn fine_tune_async(
        &mut self,
        data: &Dataset,
        cache: FeatureCache,
        fit: Fit<'_>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        fit.check()?;
        self.check_data("fine_tune", data)?;
        if fit.augmentation.is_some() {
            let expected = "none, since features are computed once; use fit() instead".to_owned();
            return Err(Error::Argument { name: "augmentation", expected, found: "an augmentation".to_owned() });
        }
        let (precision, entry) = {
            let session = self.trained("fine_tune")?;
            let precision = session.compiled().map_or(Precision::Float32, |compiled| compiled.precision);
            (precision, session.network().frozen_up_to())
        };
        if self.inputs().contains(&entry) {
            let expected = "frozen layers with a single output before all trainable ones".to_owned();
            let found = "none: freeze them before compile(), or use fit()".to_owned();
            return Err(Error::Argument { name: "model", expected, found });
        }
        tracing::info!(
            "computing the output of {} once for each of {} samples",
            self.network.name_of(entry),
            data.len()
        );
        let mut body = Body { model: self.sub_model_async(&[entry]).await?, precision, cache };
        body.model.start_session(&self.device()?, None, precision).await?;
        let features = body.features(data).await?;
        let validation = match fit.validation_data {
            Some(data) => Some(body.features(data).await?),
            None => None,
        };
        drop(body);
        let fit = Fit { validation_data: validation.as_ref(), ..fit };
        self.fit_from((&[entry], &features), fit, callbacks).await
    }
}

/// The frozen layers.
struct Body {
    model: Model,
    precision: Precision,
    cache: FeatureCache,
}

impl Body {
    /// The outputs of the layers for a data set, with its labels and sample weights.
    async fn features(&mut self, data: &Dataset) -> Result<Dataset> {
        let values = match self.cache.clone() {
            FeatureCache::Memory => self.model.predict_async(data).await?.values,
            FeatureCache::File(path) => self.kept(&path, data).await?,
        };
        let shape = self.model.output_shape()?.clone();
        let features = Dataset::from_f32(shape, values, None)?.with_targets(data.targets().to_vec())?;
        let weights = data.target_weights().map(|weights| weights.map(|weights| weights.to_vec()));
        Ok(features.with_target_weights(weights)?)
    }

    /// The features from a file. Computes and saves them if missing.
    async fn kept(&mut self, path: &Path, data: &Dataset) -> Result<Vec<f32>> {
        let body = self.fingerprint().await?;
        let name = format!("{body}/{}", fingerprint_of(data)?);
        let mut kept = if path.exists() { saving::read_marked(path, MARK, self.model.name())? } else { Vec::new() };
        kept.retain(|features| features.name.starts_with(&body));
        if let Some(found) = kept.iter().position(|features| features.name == name) {
            tracing::info!("the features of {} samples are in {}", data.len(), path.display());
            return Ok(kept.swap_remove(found).values);
        }
        let predictions = self.model.predict_async(data).await?;
        kept.push(Weight { name, shape: predictions.shape, values: predictions.values });
        saving::save_marked(path, MARK, &kept)?;
        Ok(kept.pop().map(|features| features.values).unwrap_or_default())
    }

    /// The fingerprint of the layers and their weights.
    async fn fingerprint(&self) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(self.precision.name());
        hash.update(saving::json_text(&self.model)?);
        for weight in self.model.get_weights_async().await? {
            hash.update(bytemuck::cast_slice::<f32, u8>(&weight.values));
        }
        Ok(short(hash))
    }
}

/// The fingerprint of the samples, including their preprocessing.
fn fingerprint_of(data: &Dataset) -> Result<String> {
    let mut hash = Sha256::new();
    for input in data.inputs() {
        hash.update(format!("{} {} {} {:?}", input.sample_shape, data.len(), input.scale, input.offset));
        input.standardization.hash_into(&mut |bytes| hash.update(bytes));
        for first in (0..data.len()).step_by(256) {
            hash.update(input.slice(first..data.len().min(first + 256))?);
        }
    }
    Ok(short(hash))
}

fn short(hash: Sha256) -> String {
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
