//! What is trained, and how samples go into it.

use kiln::Model;
use kiln::data::{Dataset, Interpolation, Preprocessing};

use super::Arguments;
use crate::commands::run::{DType, Run};
use crate::commands::source::{self, Samples};
use crate::error::Error;

/// A network, and samples as it is to see them.
pub struct Input {
    pub model: Model,
    pub samples: Samples,
    /// How pictures were resized.
    pub interpolation: Interpolation,
    /// What photographs went through.
    pub preprocessing: Option<Preprocessing>,
}

impl Input {
    /// Reads samples and makes the network. The network of a run sees them as in that run where nothing else is asked for.
    pub fn new(arguments: &Arguments, network: impl FnOnce(&Dataset) -> Result<Model, Error>) -> Result<Input, Error> {
        let before = Run::of_model(&arguments.model)?;
        let images = before.as_ref().map_or(arguments.images.clone(), |run| arguments.images.or_of_run(run));
        let samples = source::load(arguments.data(), &images)?;
        let model = network(&samples.train)?;
        let before = before.filter(|run| run.dtype == DType::of(&samples.train));
        let preprocessing = arguments.preprocessing.or(before.as_ref().and_then(|run| run.preprocessing));
        let preprocessing = preprocessing.filter(|_| arguments.rescale.is_none());
        let samples = match preprocessing {
            Some(preprocessing) => samples.preprocessed(preprocessing)?,
            None => samples.scaled_for(&model, arguments.rescale.or(before.map(|run| run.rescale))),
        };
        Ok(Input { model, samples, interpolation: images.interpolation(), preprocessing })
    }
}
