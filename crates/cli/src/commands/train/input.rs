//! The network to train, and its input.

use kiln::Model;
use kiln::data::{Dataset, Interpolation, Preprocessing};

use super::Arguments;
use crate::commands::run::{DType, Run};
use crate::commands::source::{self, Samples};
use crate::error::Error;

/// A network and samples prepared for it.
pub struct Input {
    pub model: Model,
    pub samples: Samples,
    /// The interpolation of resized pictures.
    pub interpolation: Interpolation,
    /// The preprocessing, if any.
    pub preprocessing: Option<Preprocessing>,
}

impl Input {
    /// Reads samples and creates the network. By default, the network of a run sees them as in that run.
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
