//! `kiln finetune`: transfer learning with a pretrained backbone.

mod arguments;
mod stages;

use std::process::ExitCode;
use std::sync::Arc;

use kiln::data::Labels;
use kiln::losses::{CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy};
use kiln::metrics::Accuracy;
use kiln::models::Top;
use kiln::{History, Model};

pub use arguments::Arguments;

use super::network::{self, Known};
use super::run::{DType, Rescale, Run, image_of};
use super::run_folder::RunFolder;
use super::source::{self, Samples};
use super::train::report;
use super::{counted, devices};
use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use crate::plot;
use stages::Stages;

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let (known, backbone) = Known::backbone(&arguments.model)?;
    let mut folder = RunFolder::open(&arguments.out)?;
    folder.check(arguments.overwrite)?;
    source::check(&arguments.data)?;
    let preprocessing = arguments.preprocessing.or(backbone.preprocessing);
    let [height, width, _] = known.input_shape;
    let samples = source::load(&arguments.data, &arguments.images.or_of_size([height, width]))?;
    let samples = match preprocessing {
        Some(preprocessing) => samples.preprocessed(preprocessing)?,
        None => samples,
    };
    let [trained, validated] = samples.split(arguments.validation_split);
    let Samples { train, test, .. } = samples;
    interrupt::watch()?;

    let device = devices::open(arguments.device.as_deref())?;
    let mut model = (backbone.build)(train.sample_shape().clone(), Top::None);
    model.initialize(arguments.seed)?;
    model.layers(arguments.then_unfreeze.unwrap_or(0)..)?; // fails now rather than after the first training
    network::load_backbone(&mut model, &arguments.weights)?;
    let (image_size, color_mode) = image_of(train.sample_shape());
    let loss: Arc<dyn Loss> = match train.labels() {
        Some(Labels::Values { .. }) => CategoricalCrossentropy::default().into(),
        _ => SparseCategoricalCrossentropy::default().into(),
    };
    let mut run = Run {
        model: known.name.to_owned(),
        data: source::from_anywhere(&arguments.data),
        samples: train.len(),
        classes: train.class_names().to_vec(),
        dtype: DType::of(&train),
        image_size,
        color_mode,
        interpolation: arguments.images.interpolation(),
        rescale: Rescale::of(&train),
        preprocessing,
        loss: Arc::clone(&loss),
        metrics: vec![Accuracy.into()],
        device: device.info().name.clone(),
        batch_size: arguments.batch_size as usize,
        precision: arguments.precision,
        validation_split: arguments.validation_split,
        seed: arguments.seed,
        ..Run::default()
    };
    println!("{} on {}", run.model, run.device);
    let tested = test.as_ref().map(|test| format!(", {} to test", test.len())).unwrap_or_default();
    let images = counted(trained.len(), "images");
    println!("{}: {images} to train, {} to validate{tested}", run.data, validated.len());
    println!("{}", run.input_words(&model));

    let validated = Some(&validated).filter(|validated| !validated.is_empty());
    let mut stages =
        Stages { arguments, device: &device, trained: &trained, validated, loss, history: Default::default() };
    run.optimizer = stages.head(&mut model)?;
    // Checks before anything is written, so that a training that cannot start keeps the folder's contents.
    model.check(&trained, arguments.batch_size as usize)?;
    if let Some(test) = &test {
        model.check(test, arguments.batch_size as usize)?;
    }
    folder.begin(&run)?;
    stages.train_head(&mut model)?;
    save(arguments, &model, &stages.history, &run)?;
    if let (Some(cut), None) = (arguments.then_unfreeze, interrupt::asked()) {
        run.optimizer = stages.unfrozen(&mut model, cut)?;
    }
    let history = stages.history;
    if let (Some(test), None) = (&test, interrupt::asked())
        && let Some(score) = model.evaluate_with_callbacks(test, &mut [&mut Interrupt])?
    {
        println!("test images: {score}");
        (run.test_loss, run.test_accuracy) = (Some(score.loss), score.get("accuracy"));
    }
    save(arguments, &model, &history, &run)?;
    let curves = report::curves(&run, &history);
    plot::draw(&curves, &arguments.out.join("history.svg"))?;
    plot::draw(&curves, &arguments.out.join("history.png"))?;
    if let Some(status) = interrupt::asked() {
        report::stopped(&history, &arguments.out);
        return Ok(ExitCode::from(status));
    }
    println!("saved in {}; see history.png there", arguments.out.display());
    Ok(ExitCode::SUCCESS)
}

fn save(arguments: &Arguments, model: &Model, history: &History, run: &Run) -> Result<(), Error> {
    model.save(&arguments.out)?;
    history.save(&arguments.out)?;
    run.save(&arguments.out)
}
