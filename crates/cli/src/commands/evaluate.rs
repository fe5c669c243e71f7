//! `kiln evaluate`: the loss and metrics of a trained network.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use kiln::data::{Dataset, Labels};
use kiln::losses::{self, CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy};
use kiln::metrics::OutputMetric;
use kiln::{Compile, ConfusionMatrix, Model, Predictions};

use super::run::{Outcome, Rescale, Run, loss_with, usual_metrics};
use super::source::{self, Held, Images};
use super::{counted, devices, network};
use crate::error::Error;

/// The largest number of classes for which a confusion matrix is printed.
const MOST_CLASSES: usize = 32;

/// Evaluate a trained network on test images.
///
/// Prints the loss and the metrics that the network was trained with, and for up to 32 classes the confusion matrix: a
/// row per true class, a column per predicted class.
///
/// Samples are scaled, resized and standardized as in training (recorded in run.json), and classes are matched by name.
/// Without test images, it uses the validation set (--validation-split).
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln evaluate runs/lenet
  kiln evaluate runs/lenet --data fashion-mnist
  kiln evaluate runs/mine --data mnist --loss sparse_categorical_crossentropy   # a model without run.json")]
pub struct Arguments {
    /// The output folder of `kiln train`.
    run: PathBuf,
    /// The images, as for `kiln train --data` [default: the data of the training]. Images in folders are resized to the
    /// network's input.
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Evaluate on this share of a folder of classes or of a safetensors file, at the end of its shuffled order
    /// [default: the run's for the data of the run, else all].
    #[arg(long, value_parser = super::train::arguments::share, value_name = "SHARE")]
    validation_split: Option<f64>,
    /// Scale values by this factor and add the offset, instead of the run's scaling, for example 1/255 or 1/127.5,-1.
    #[arg(long, value_name = "SCALE[,OFFSET]", allow_hyphen_values = true)]
    rescale: Option<Rescale>,
    /// The loss of a model without run.json, by its Keras name.
    #[arg(long, value_parser = losses::from_name, value_name = "NAME")]
    loss: Option<Arc<dyn Loss>>,
    /// The outputs of a model without run.json are logits, not probabilities.
    #[arg(long)]
    from_logits: bool,
    /// Skip images that cannot be decoded, with a warning, instead of failing.
    #[arg(long)]
    skip_corrupt: bool,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let folder = &arguments.run;
    let (run, mut model) = arguments.find()?;
    let source = arguments.data.clone().unwrap_or_else(|| run.data.clone());
    let found = source::load_found(&source, &Images::of_run(&run, arguments.skip_corrupt))?;
    let is_own = arguments.is_own(&run, &found.data)?;
    let share = arguments.share(&run, is_own)?;
    if is_own && share > 0.0 && !found.is_test() && found.data.len() != run.samples {
        let trained = format!("{} samples, of which the last {share} were validated with", run.samples);
        return Err(run.contradicts(folder, &format!("{} samples in {source}", found.data.len()), trained));
    }
    let trained_on = is_own && !found.is_test() && share == 0.0;
    let Held { data, what } = found.held(share);
    let data = run.in_own_classes(folder, &source, data)?;
    let prepared = run.prepared(folder, &model, data, arguments.rescale)?;
    let test = prepared.data;
    let device = devices::open(arguments.device.as_deref())?;
    let metrics = if run.metrics.is_empty() { usual_metrics(&*run.loss, &test) } else { run.metrics.clone() };
    let loss = loss_for(&run.loss, &test);
    let metrics = metrics.into_iter().map(OutputMetric::from).collect();
    let compile = Compile { loss: loss.into(), metrics, precision: run.precision, ..Compile::default() };
    model.compile(&device, compile)?;
    let score = model.evaluate(&test)?;
    let predictions = model.predict(&test)?;
    if let Some(sample) = predictions.first_non_finite() {
        let of = format!("sample {sample} of {} {what} of {source}", test.len());
        return Err(Error::NonFinitePrediction { of });
    }
    if !score.loss.is_finite() {
        return Err(Error::NonFiniteLoss { data: source, loss: score.loss });
    }
    let note = if trained_on { ", all of which it was trained on," } else { "" };
    let mut text =
        format!("{} of {source}{note} on {}\n{}\n", counted(test.len(), &what), device.info().name, prepared.words);
    let missing = run.classes_without_samples(&test);
    if !missing.is_empty() {
        text += &format!("no {what} of {}\n", missing.join(", "));
    }
    let right = score.get("accuracy").map(|share| format!(" ({} right)", (share * test.len() as f64).round()));
    text += &format!("{score}{}\n", right.unwrap_or_default());
    if let Some(matrix) = confusions(&run, &test, &predictions)? {
        text += &format!("\n{}\n", matrix.with_class_names(&run.classes));
    }
    super::show(&text);
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// The run and its model. Arguments that contradict run.json are an error.
    fn find(&self) -> Result<(Run, Model), Error> {
        if Run::load(&self.run)?.is_none()
            && network::file(&self.run).is_some()
            && let (Some(loss), Some(data)) = (&self.loss, &self.data)
        {
            let model = network::single(Model::load(&self.run)?)?;
            let known = Run::unknown(&model);
            let rescale = if source::is_tensors(data) { Rescale::NONE } else { known.rescale };
            let interpolation = Images::default().interpolation();
            let loss = match self.from_logits {
                true => loss_with(&**loss, [("from_logits", true.into())])?,
                false => loss.clone(),
            };
            return Ok((Run { loss, rescale, interpolation, ..known }, model));
        }
        let (run, model) = Run::load_with_model(&self.run)?;
        if let Some(loss) = self.loss.as_ref().filter(|loss| loss.name() != run.loss.name()) {
            let found = format!("--loss {}", loss.name());
            return Err(run.contradicts(&self.run, &found, format!("loss {}", run.loss.name())));
        }
        if self.from_logits && !run.loss.from_logits() {
            return Err(run.contradicts(&self.run, "--from-logits", "from_logits false".to_owned()));
        }
        Ok((run, model))
    }

    /// Whether the samples are those of the run's training, in the same place or a copy.
    fn is_own(&self, run: &Run, data: &Dataset) -> Result<bool, Error> {
        let Some(source) = &self.data else { return Ok(true) };
        if source::from_anywhere(source) == source::from_anywhere(&run.data) {
            return Ok(true);
        }
        match &run.training {
            Some(training) if data.len() == training.data.samples => training.data.is_of(data),
            _ => Ok(false),
        }
    }

    /// The share of the samples to evaluate on.
    fn share(&self, run: &Run, is_own: bool) -> Result<f64, Error> {
        match self.validation_split {
            Some(share) if is_own && share != run.validation_split => {
                let trained = format!("validation_split {}", run.validation_split);
                Err(run.contradicts(&self.run, &format!("--validation-split {share}"), trained))
            }
            Some(share) => Ok(share),
            None => Ok(if is_own { run.validation_split } else { 0.0 }),
        }
    }
}

/// The run's loss, or its equivalent for one-hot labels if the run's labels are class indices.
fn loss_for(loss: &Arc<dyn Loss>, test: &Dataset) -> Arc<dyn Loss> {
    let sparse = loss.name() == SparseCategoricalCrossentropy::default().name();
    match test.labels() {
        Some(Labels::Values { .. }) if sparse => {
            CategoricalCrossentropy { from_logits: loss.from_logits(), ..Default::default() }.into()
        }
        _ => loss.clone(),
    }
}

/// The confusion matrix, if each sample has one class.
fn confusions(run: &Run, test: &Dataset, predictions: &Predictions) -> Result<Option<ConfusionMatrix>, Error> {
    let Some(labels) = test.labels() else { return Ok(None) };
    let outputs = predictions.shape.sample();
    let (predicted, classes): (Vec<usize>, usize) = match run.outcome(outputs.elements()) {
        Outcome::Classes if outputs.len() == 1 => (predictions.classes(), outputs.elements()),
        Outcome::Binary if are_bits(labels) => {
            let threshold = if run.loss.from_logits() { 0.0 } else { 0.5 };
            (predictions.values.iter().map(|&value| usize::from(value > threshold)).collect(), 2)
        }
        _ => return Ok(None),
    };
    if !(2..=MOST_CLASSES).contains(&classes) {
        return Ok(None);
    }
    Ok(Some(ConfusionMatrix::new(&labels.class_indices(), &predicted, classes)?))
}

/// Whether all labels are 0 or 1.
fn are_bits(labels: &Labels) -> bool {
    match labels {
        Labels::Index { classes, .. } => *classes <= 2,
        Labels::Values { values, .. } => values.iter().all(|value| [0.0, 1.0].contains(value)),
    }
}
