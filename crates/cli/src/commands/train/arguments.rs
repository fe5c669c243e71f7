//! The arguments of `kiln train`.

use std::sync::Arc;

use kiln::callbacks::ReduceLROnPlateau;
use kiln::data::Preprocessing;
use kiln::losses::{self, Loss};
use kiln::metrics::{self, Metric};
use kiln::optimizers::Optimizer;
use kiln::{Compile, Precision};

use super::class_weight::ClassWeight;
use super::optimizer::OptimizerArguments;
use super::options::Options;
use super::place::Place;
use super::plateau;
use super::schedule::Length;
use crate::commands::augment;
use crate::commands::network::{self, Known};
use crate::commands::run::Rescale;
use crate::commands::source::{self, Images, is_tensors};
use crate::commands::weights::Weights;
use crate::error::Error;

/// Train a network and save it.
///
/// Trains, evaluates on the test images and writes to --out: model.json and weights.safetensors (the model),
/// history.json and history.csv (the figures of each epoch; history.json also has those of each batch), history.png and
/// history.svg (learning curves), run.json (the configuration, for evaluate and predict) and checkpoint.safetensors
/// (for --resume). Model, history and checkpoint are saved after every epoch. A folder with a training is changed only
/// with --resume or --overwrite, and only one training at a time can write to it.
///
/// Ctrl-C finishes the batch, saves and exits with status 130; SIGTERM does the same with 143. If the loss or a weight
/// becomes NaN or infinite, training stops with status 1, and --out keeps the weights of the last finite epoch.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln train lenet
  kiln train lenet --epochs 5 --optimizer sgd --learning-rate 0.05 --momentum 0.9
  kiln train lenet --optimizer adamw --schedule cosine:warmup_epochs=1 --weight-decay 0.05 --ema 0.999
  kiln train lenet --data fashion-mnist --out runs/fashion
  kiln train lenet --minutes 5 --device nvidia
  kiln train lenet --batch-size 1024 --accumulate 8
  kiln train cifar10_deep --precision mixed
  kiln train cifar10_deep --data photos/ --epochs 40 --augment
  kiln train cifar10_deep --augment rotation_range=15,width_shift_range=0.1,horizontal_flip=true
  kiln train cifar10_deep --epochs 60 --resume
  kiln train runs/lenet --data more/ --out runs/lenet-more
  kiln train model.json --weights init.safetensors --data xy.safetensors --no-shuffle --out runs/mine

Runs with the same arguments on the same device produce bit-identical weights.")]
pub struct Arguments {
    // Must be first, because the fields after it remove the arguments that they parse.
    #[command(flatten)]
    pub options: Options,
    /// The network: lenet, cifar10_simple, cifar10_deep, or a model.json in Keras' to_json format, with random weights; or
    /// the output folder of `kiln train`, with its weights.
    pub model: String,
    /// The training data: mnist, fashion-mnist, cifar10, cifar100 (downloaded if missing), a folder with their files, a
    /// folder with the subfolders train and test, each with one subfolder of images per class, a folder with one subfolder
    /// of images per class (of which --validation-split holds out a fraction), an archive of one (.tar.gz), or a safetensors
    /// file with x (f32 or u8, not rescaled) and y (classes or one row per sample) [default: mnist for lenet, cifar10 for
    /// cifar10_simple and cifar10_deep].
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    #[command(flatten)]
    pub images: Images,
    /// Scale values by this factor and add the offset, for example 1/255 or 1/127.5,-1 [default: 1/255 for the bytes of
    /// images, which become 0 to 1, unless the network begins with a Rescaling; 1 for a safetensors file; if the
    /// network is the output folder of a run, the run's scaling].
    #[arg(long, value_name = "SCALE[,OFFSET]", allow_hyphen_values = true, conflicts_with = "preprocessing")]
    pub rescale: Option<Rescale>,
    /// The preprocessing of pictures, instead of --rescale: Keras' preprocess_input in mode caffe, tf or torch.
    #[arg(long, value_name = "MODE")]
    pub preprocessing: Option<Preprocessing>,
    /// The initial weights, instead of random ones: safetensors, Keras' HDF5, or a file of the Hugging Face hub.
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    pub weights: Option<Weights>,
    /// The number of epochs [default: 20, or as many as fit in --minutes].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "N")]
    epochs: Option<u32>,
    /// Train as many epochs as fit in about this many minutes, but at least one and at most --epochs.
    #[arg(long, value_parser = positive, allow_negative_numbers = true, value_name = "M")]
    pub minutes: Option<f64>,
    /// The batch size.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "N")]
    pub batch_size: u32,
    /// Gradient accumulation: compute each batch in this many shards and sum their gradients for one step. Allows batches
    /// that exceed the device's memory; the result is the same up to rounding.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=32), allow_negative_numbers = true, value_name = "N")]
    pub accumulate: u32,
    /// The precision of matrix products and convolutions: float32, or mixed: factors rounded to 16-bit floats, sums and all
    /// else in 32-bit floats, with dynamic loss scaling. Mixed is for GPUs with tensor cores; elsewhere float32 is faster.
    /// `kiln evaluate` uses it too; `kiln predict` computes in float32.
    #[arg(long, default_value_t = Precision::Float32, value_name = "float32|mixed")]
    pub precision: Precision,
    #[command(flatten)]
    optimizer: OptimizerArguments,
    /// The loss, by its Keras name, for example mse or binary_crossentropy [default: categorical cross-entropy; binary
    /// for a network with one output or labels that are not exclusive].
    #[arg(long, value_parser = losses::from_name, value_name = "NAME")]
    pub loss: Option<Arc<dyn Loss>>,
    /// The network's outputs are logits, not probabilities.
    #[arg(long)]
    pub from_logits: bool,
    /// The label smoothing of categorical_crossentropy and binary_crossentropy: the share of each label spread evenly
    /// over all classes.
    #[arg(long, value_name = "SHARE")]
    pub label_smoothing: Option<f64>,
    /// The metrics, by their Keras names, separated by commas: accuracy, binary_accuracy, top_k_categorical_accuracy:K,
    /// mean_squared_error, mean_absolute_error [default: accuracy; binary_accuracy for labels that are not exclusive;
    /// none for regression].
    #[arg(long, value_parser = metrics::from_name, value_name = "NAMES", value_delimiter = ',')]
    pub metrics: Vec<Arc<dyn Metric>>,
    /// The share of the training images, at their end, used for validation instead of training, as in Keras: for data
    /// already split into train and test, all but the first int(n (1 - share)) images; for a folder of images per
    /// class, the last int(n share) of its shuffled files. `kiln evaluate` uses this validation set if there are no
    /// test images [default: 0.2; 0 for a safetensors file].
    #[arg(long, value_parser = share, allow_negative_numbers = true, value_name = "SHARE")]
    validation_split: Option<f64>,
    /// Train on the images in order, in every epoch.
    #[arg(long)]
    pub no_shuffle: bool,
    /// Augment the images at random in each step: arguments of Keras' ImageDataGenerator as name=value, separated by
    /// commas; without a value, shifts of up to a tenth and horizontal flips.
    #[arg(long, value_name = "SPEC", num_args = 0..=1, default_missing_value = crate::commands::augment::USUAL)]
    pub augment: Option<String>,
    /// Stop when the validation loss has not improved for this many epochs, and restore the best weights.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), allow_negative_numbers = true, value_name = "EPOCHS")]
    pub patience: Option<u32>,
    /// Multiply the learning rate by `factor` when `monitor` has not improved for `patience` epochs: Keras' arguments of
    /// ReduceLROnPlateau as name=value [default: factor=0.1,patience=10,monitor=val_loss].
    #[arg(long, value_parser = plateau::parse, value_name = "SPEC", num_args = 0..=1, default_missing_value = "")]
    pub reduce_lr_on_plateau: Option<ReduceLROnPlateau>,
    /// The weights of classes in the loss, for example cat=2,dog=0.5 or 0=2,1=0.5 [default: 1 for each class].
    #[arg(long, value_parser = ClassWeight::parse, value_delimiter = ',', value_name = "CLASS=WEIGHT")]
    pub class_weight: Vec<ClassWeight>,
    /// Write event files for TensorBoard into OUT/tensorboard.
    #[arg(long)]
    pub tensorboard: bool,
    #[command(flatten)]
    pub place: Place,
    /// The random seed of the initial weights, the order of the images and all other random draws.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    pub device: Option<String>,
}

pub fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    let as_used = number as f32; // on the device
    if as_used.is_finite() && as_used > 0.0 {
        Ok(number)
    } else {
        Err("expected a number above 0 and in the range of f32".to_owned())
    }
}

pub fn share(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if (0.0..1.0).contains(&number) { Ok(number) } else { Err("expected 0 or more and less than 1".to_owned()) }
}

impl Arguments {
    /// The conflict between arguments, if any. Those of a resumed training are complete only once it is found.
    pub fn conflict(&self) -> Option<String> {
        if let Some(conflict) = self.optimizer.conflict(&self.model) {
            return Some(conflict);
        }
        if self.reduce_lr_on_plateau.is_some() && self.optimizer.is_scheduled() {
            return Some(
                "--reduce-lr-on-plateau cannot change a learning rate that --schedule or --decay sets".to_owned(),
            );
        }
        let watched = self.reduce_lr_on_plateau.as_ref().map(|reduce| reduce.monitor.as_str());
        if let Some(monitor) = watched.filter(|name| name.starts_with("val_"))
            && self.validation_split() == 0.0
        {
            return Some(format!(
                "--reduce-lr-on-plateau needs {monitor}; set --validation-split above 0, or monitor=loss"
            ));
        }
        if self.patience.is_some() && self.validation_split() == 0.0 {
            return Some("--patience needs a validation loss; set --validation-split above 0".to_owned());
        }
        let augmented = self.augment.as_deref().map(augment::parse).and_then(Result::ok);
        if self.rescale.is_some() && augmented.is_some_and(|augmentation| augmentation.rescale.is_some()) {
            return Some("--rescale conflicts with the rescale of --augment; use only one of them".to_owned());
        }
        if self.data.is_none() && self.usual_data().is_none() {
            if let Err(error) = network::check(&self.model) {
                return Some(error.to_string());
            }
            return Some(format!("--data is required to train {}", self.model));
        }
        None
    }

    fn usual_data(&self) -> Option<&'static str> {
        Known::named(&self.model)?.data
    }

    /// The training data.
    pub fn data(&self) -> &str {
        self.data.as_deref().or(self.usual_data()).unwrap_or("mnist")
    }

    /// The share of the samples used for validation.
    pub fn validation_split(&self) -> f64 {
        self.validation_split.unwrap_or(if is_tensors(self.data()) { 0.0 } else { 0.2 })
    }

    /// The number of epochs, if it is known before the first.
    pub fn epochs(&self) -> Option<usize> {
        self.epochs.map(|epochs| epochs as usize).or(if self.minutes.is_some() { None } else { Some(20) })
    }

    /// The computed defaults of options that depend on others.
    pub fn computed_defaults(&self, optimizer: &dyn Optimizer) -> Vec<(String, String)> {
        let epochs = self.epochs().map(|epochs| ("--epochs", epochs.to_string()));
        let rest = [
            ("--data", source::from_anywhere(self.data())),
            ("--optimizer", optimizer.name().to_owned()),
            ("--learning-rate", format!("{:?}", optimizer.learning_rate())),
            ("--momentum", "0".to_owned()),
            ("--validation-split", self.validation_split().to_string()),
        ];
        epochs.into_iter().chain(rest).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The optimizer for a training on this number of samples; all other fields are the defaults.
    ///
    /// # Errors
    /// If the learning rate's schedule does not fit the length of the training.
    pub fn compile(&self, samples: usize) -> Result<Compile, Error> {
        let steps_per_epoch = samples.div_ceil(self.batch_size as usize) as u64;
        let compile = self.optimizer.compile(&self.model, Length { steps_per_epoch, epochs: self.epochs() })?;
        Ok(Compile { accumulate: self.accumulate as usize, precision: self.precision, ..compile })
    }
}
