//! `kiln train`: trains a network.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use clap::builder::PossibleValuesParser;
use kiln::data::Dataset;
use kiln::optimizers::{Adam, LearningRate, Optimizer, RMSprop, SGD};
use kiln::{Callback, Compile, Device, EpochLogs, Fit, History, Loss, Sequential, models};

use super::run::Run;
use super::{devices, source};
use crate::error::Error;
use crate::interrupt::{self, Interrupt};
use crate::plot::{self, Curves};
use crate::progress::Progress;

/// Train a network and save it.
///
/// Trains, evaluates on the test images and leaves in the folder --out: model.json and weights.safetensors (the model),
/// history.json and history.csv (loss and accuracy of each epoch), history.png and history.svg (the same as a picture)
/// and run.json (what was asked for). The model and the history are saved after every epoch.
///
/// Ctrl-C finishes the batch, saves and ends with status 130; so does the signal to terminate, with 143.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln train lenet
  kiln train lenet --epochs 5 --optimizer sgd --learning-rate 0.05 --momentum 0.9
  kiln train lenet --data fashion-mnist --out runs/fashion
  kiln train lenet --minutes 5 --device nvidia

Runs with the same arguments on the same device give the same weights, bit for bit.")]
pub struct Arguments {
    /// The network.
    #[arg(value_parser = PossibleValuesParser::new(["lenet"]))]
    model: String,
    /// What to learn: mnist, fashion-mnist (both are fetched if need be) or a folder with their four files.
    #[arg(long, default_value = "mnist", value_name = "NAME|DIR")]
    data: String,
    /// How many times to go through the training images [default: 20, or as --minutes allows].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    epochs: Option<u32>,
    /// Train as many epochs as fit into about so many minutes, at least one, and with --epochs at most so many.
    #[arg(long, value_parser = positive, value_name = "M")]
    minutes: Option<f64>,
    /// Images per step.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    batch_size: u32,
    /// How the weights are changed.
    #[arg(long, value_enum, default_value_t = Rule::Adam)]
    optimizer: Rule,
    /// How far a step goes [default: 0.001 for adam and rmsprop, 0.01 for sgd].
    #[arg(long, value_parser = positive, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// How much of the last step rmsprop or sgd takes again [default: 0].
    #[arg(long, value_parser = share, value_name = "SHARE")]
    momentum: Option<f64>,
    /// The share of the training images, at their end, that is not trained on but validated with.
    #[arg(long, default_value_t = 0.2, value_parser = share, value_name = "SHARE")]
    validation_split: f64,
    /// What the first weights and the order of the images depend on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
    /// Where the result goes; what an earlier run left there is replaced [default: runs/MODEL].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rule {
    Adam,
    Rmsprop,
    Sgd,
}

fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if number.is_finite() && number > 0.0 { Ok(number) } else { Err("expected more than 0".to_owned()) }
}

fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..1.0).contains(&number) { Ok(number) } else { Err("expected 0 or more and less than 1".to_owned()) }
}

impl Arguments {
    /// What is wrong with the arguments together, if anything is.
    pub fn conflict(&self) -> Option<&'static str> {
        let wrong = self.momentum.is_some() && self.optimizer == Rule::Adam;
        wrong.then_some("--momentum is for --optimizer sgd or rmsprop; adam has its own")
    }

    /// The number of the last epoch, if it is known before the first.
    fn epochs(&self) -> Option<usize> {
        self.epochs.map(|epochs| epochs as usize).or(if self.minutes.is_some() { None } else { Some(20) })
    }

    fn optimizer(&self) -> Box<dyn Optimizer> {
        let momentum = self.momentum.unwrap_or_default();
        let rate = |default: LearningRate| self.learning_rate.map_or(default, LearningRate::from);
        match self.optimizer {
            Rule::Adam => Adam { learning_rate: rate(Adam::default().learning_rate), ..Adam::default() }.into(),
            Rule::Rmsprop => {
                let learning_rate = rate(RMSprop::default().learning_rate);
                RMSprop { learning_rate, momentum, ..RMSprop::default() }.into()
            }
            Rule::Sgd => SGD { learning_rate: rate(SGD::default().learning_rate), momentum, ..SGD::default() }.into(),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&arguments.model));
    std::fs::create_dir_all(&out).map_err(Error::file("create the folder", &out))?;
    let (train, test) = source::load(&arguments.data)?;
    interrupt::watch()?;

    let mut progress = Progress::new(arguments.epochs());
    let device = devices::open(arguments.device.as_deref())?;
    let mut model = models::lenet(train.sample_shape().clone(), train.classes());
    model.initialize(arguments.seed)?;
    let optimizer = arguments.optimizer();
    let mut run = describe(arguments, &device, optimizer.as_ref());
    model.compile(&device, Compile { optimizer, loss: Loss::SparseCategoricalCrossentropy, ..Compile::default() })?;
    introduce(&run, &model, &train, &test);

    let mut saver = Saver::new(&out);
    let history = model.fit(
        &train,
        Fit {
            epochs: arguments.epochs().unwrap_or(usize::MAX),
            batch_size: arguments.batch_size as usize,
            validation_split: arguments.validation_split,
            seed: arguments.seed,
            callbacks: vec![&mut Interrupt, &mut progress, &mut Budget::new(arguments.minutes), &mut saver],
            ..Fit::default()
        },
    )?;
    history.save(&out)?;
    if let Some(took) = progress.first_step() {
        let speed = history.epochs.iter().map(|logs| logs.images_per_second).sum::<f64>() / history.epochs.len() as f64;
        println!("first step after {:.2} s; {speed:.0} images/s on average", took.as_secs_f64());
    }

    let score = match interrupt::asked() {
        None => model.evaluate_with_callbacks(&test, &mut [&mut Interrupt])?,
        Some(_) => None,
    };
    if let Some(score) = score {
        println!("test images: loss {:.4}, accuracy {:.4}", score.loss, score.accuracy);
        (run.test_loss, run.test_accuracy) = (Some(score.loss), Some(score.accuracy));
    }
    run.save(&out)?;
    let curves = curves(&run, &history);
    plot::draw(&curves, &out.join("history.svg"))?;
    plot::draw(&curves, &out.join("history.png"))?;
    if let Some(status) = interrupt::asked() {
        println!("stopped in epoch {}; all until then is saved in {}", history.epochs.len(), out.display());
        return Ok(ExitCode::from(status));
    }
    println!("saved in {}; see history.png there", out.display());
    Ok(ExitCode::SUCCESS)
}

fn describe(arguments: &Arguments, device: &Device, optimizer: &dyn Optimizer) -> Run {
    Run {
        model: arguments.model.clone(),
        data: source::from_anywhere(&arguments.data),
        device: device.info().name.clone(),
        optimizer: format!("{optimizer:?}"),
        batch_size: arguments.batch_size as usize,
        validation_split: arguments.validation_split,
        seed: arguments.seed,
        test_loss: None,
        test_accuracy: None,
    }
}

fn introduce(run: &Run, model: &Sequential, train: &Dataset, test: &Dataset) {
    let parameters: usize = model.summary().rows.iter().map(|row| row.parameters).sum();
    let (trained, validated) = train.split(run.validation_split);
    println!("{} with {parameters} parameters on {}", run.model, run.device);
    println!(
        "{}: {} images to train, {} to validate, {} to test",
        run.data,
        trained.len(),
        validated.len(),
        test.len()
    );
    println!("{}, batches of {}, seed {}", run.optimizer, run.batch_size, run.seed);
}

fn curves(run: &Run, history: &History) -> Curves {
    let score = run.test_accuracy.map(|accuracy| format!(": {:.2} % of the test images", 100.0 * accuracy));
    let epochs = &history.epochs;
    Curves {
        title: format!("{} on {}{}", run.model, run.data, score.unwrap_or_default()),
        accuracy: epochs.iter().map(|logs| logs.accuracy).collect(),
        val_accuracy: epochs.iter().filter_map(|logs| logs.val_accuracy).collect(),
        loss: epochs.iter().map(|logs| logs.loss).collect(),
        val_loss: epochs.iter().filter_map(|logs| logs.val_loss).collect(),
    }
}

/// Stops a training when the next epoch would not fit into its time.
struct Budget {
    time: Option<Duration>,
    began: Option<Instant>,
}

impl Budget {
    fn new(minutes: Option<f64>) -> Budget {
        Budget { time: minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)), began: None }
    }
}

impl Callback for Budget {
    fn on_epoch_begin(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        self.began.get_or_insert_with(Instant::now);
        ControlFlow::Continue(())
    }

    fn on_epoch_end(&mut self, _: &mut Sequential, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        let spent = self.began.map(|began| began.elapsed()).unwrap_or_default();
        let next = spent.as_secs_f64() * (1.0 + 1.0 / logs.epoch as f64);
        match self.time {
            Some(time) if next > time.as_secs_f64() => Ok(ControlFlow::Break(())),
            _ => Ok(ControlFlow::Continue(())),
        }
    }
}

/// Saves model and history after every epoch.
struct Saver<'a> {
    out: &'a Path,
    history: History,
}

impl Saver<'_> {
    fn new(out: &Path) -> Saver<'_> {
        Saver { out, history: History::default() }
    }
}

impl Callback for Saver<'_> {
    fn on_epoch_end(&mut self, model: &mut Sequential, logs: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
        self.history.epochs.push(logs.clone());
        model.save(self.out)?;
        self.history.save(self.out)?;
        Ok(ControlFlow::Continue(()))
    }
}
