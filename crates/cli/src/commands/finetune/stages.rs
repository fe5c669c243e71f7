//! The two trainings of `kiln finetune`.

use std::sync::Arc;

use kiln::data::Dataset;
use kiln::layers::{Activation, Dense, GlobalAveragePooling2D, Layer};
use kiln::losses::Loss;
use kiln::optimizers::{Optimizer, RMSprop, SGD};
use kiln::{Callback, Compile, Device, FeatureCache, Fit, History, Model};

use super::Arguments;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The state shared by both.
pub struct Stages<'a> {
    pub arguments: &'a Arguments,
    pub device: &'a Device,
    pub trained: &'a Dataset,
    /// The validation set, if any.
    pub validated: Option<&'a Dataset>,
    pub loss: Arc<dyn Loss>,
    /// The figures of both, in order.
    pub history: History,
}

impl Stages<'_> {
    /// Adds a new head to the backbone and compiles it. Returns the optimizer as text.
    pub fn head(&mut self, model: &mut Model) -> Result<String, Error> {
        model.layers(..)?.set_trainable(false);
        let mut x = model.apply(GlobalAveragePooling2D::new().named("head_pool"), model.output());
        if self.arguments.head > 0 {
            x = model.apply(Dense::new(self.arguments.head).activation(Activation::Relu).named("head_dense"), x);
        }
        let classes = Dense::new(self.trained.classes()).activation(Activation::Softmax);
        model.apply(classes.named("head_classes"), x);
        let optimizer = self.compile(model, RMSprop::default().into())?;
        println!("the head: {} parameters, {optimizer}", model.summary().trainable_parameters());
        Ok(optimizer)
    }

    /// Trains the new head.
    pub fn train_head(&mut self, model: &mut Model) -> Result<(), Error> {
        let cache = self.arguments.cache.clone().map_or(FeatureCache::Memory, FeatureCache::File);
        self.train(0, |data, fit, callbacks| model.fine_tune_with_callbacks(data, cache, fit, callbacks))
    }

    /// Trains all layers from index `cut` on. Returns the optimizer as text.
    pub fn unfrozen(&mut self, model: &mut Model, cut: usize) -> Result<String, Error> {
        model.layers(..)?.set_trainable(true);
        model.layers(..cut)?.set_trainable(false);
        let (learning_rate, momentum) = (self.arguments.learning_rate.into(), self.arguments.momentum);
        let optimizer = SGD { learning_rate, momentum, ..SGD::default() };
        let optimizer = self.compile(model, optimizer.into())?;
        let first = model.layers(cut..)?.iter().next().map(|layer| format!("{} ({})", layer.name, layer.class_name));
        let parameters = model.summary().trainable_parameters();
        println!("from layer {cut} on, {}: {parameters} parameters, {optimizer}", first.unwrap_or_default());
        for (layer, normalization) in model.split_normalizations() {
            eprintln!("warning: only one of {layer} and its {normalization} is frozen; unfreeze both or neither");
        }
        self.train(self.history.epochs.len(), |data, fit, callbacks| model.fit_with_callbacks(data, fit, callbacks))?;
        Ok(optimizer)
    }

    fn compile(&self, model: &mut Model, optimizer: Arc<dyn Optimizer>) -> Result<String, Error> {
        let words = format!("{optimizer:?}");
        let (loss, precision) = (self.loss.clone().into(), self.arguments.precision);
        model.compile(self.device, Compile { optimizer, loss, precision, ..Compile::default() })?;
        Ok(words)
    }

    /// Trains for more epochs.
    fn train(
        &mut self,
        before: usize,
        fit: impl FnOnce(&Dataset, Fit<'_>, &mut [&mut dyn Callback]) -> kiln::Result<History>,
    ) -> Result<(), Error> {
        let epochs = before + self.arguments.epochs as usize;
        let (mut interrupt, mut progress) = (Interrupt, Progress::new(Some(epochs)));
        let how = Fit {
            epochs,
            initial_epoch: before,
            batch_size: self.arguments.batch_size as usize,
            validation_data: self.validated,
            seed: self.arguments.seed,
            ..Fit::default()
        };
        self.history.epochs.extend(fit(self.trained, how, &mut [&mut interrupt, &mut progress])?.epochs);
        Ok(())
    }
}
