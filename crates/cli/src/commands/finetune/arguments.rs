//! What `kiln finetune` is asked for.

use std::path::PathBuf;

use kiln::data::Preprocessing;

use crate::commands::source::Images;
use crate::commands::train::arguments::{positive, share};
use crate::commands::weights::Weights;

/// Teach a backbone that someone trained a new task.
///
/// First only a new head is trained, behind the frozen backbone: the mean of each channel, a dense layer of --head with
/// ReLU and softmax over the classes, with RMSprop. What the backbone says of each image is computed once. Then, with
/// --then-unfreeze N, all layers from the Nth on are trained together with SGD and a small learning rate; of
/// inception_v3, 249 leaves the two last blocks.
///
/// Leaves in the folder --out what `kiln train` leaves, but for a checkpoint. A folder that holds a training is written into
/// with --overwrite only, and by one training at a time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln finetune inception_v3 --weights inception_v3.safetensors --data photos/
  kiln finetune inception_v3 --weights inception_v3.safetensors --data photos/ --head 1024 --epochs 5 \\
      --then-unfreeze 249 --learning-rate 1e-4 --momentum 0.9 --out runs/photos
  kiln predict runs/photos cat.jpg

The folder of --data has the folders train and test, each with a folder of images for each class.")]
pub struct Arguments {
    /// vgg16 or inception_v3.
    pub model: String,
    /// The backbone's weights; those of the layers that classify need not be there.
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    pub weights: Weights,
    /// What to learn, as `kiln train` takes it.
    #[arg(long, value_name = "NAME|PATH")]
    pub data: String,
    #[command(flatten)]
    pub images: Images,
    /// The size of the dense layer of the new head; 0 for none.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub head: usize,
    /// How many epochs the head is trained, and then the unfrozen layers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub epochs: u32,
    /// Then train all layers from this place of `kiln summary` on, the input being 0.
    #[arg(long, value_name = "N")]
    pub then_unfreeze: Option<usize>,
    /// How far a step goes while layers are unfrozen.
    #[arg(long, default_value_t = 1e-4, value_parser = positive, value_name = "RATE")]
    pub learning_rate: f64,
    /// How much of the last step is taken again then.
    #[arg(long, default_value_t = 0.9, value_parser = share, value_name = "SHARE")]
    pub momentum: f64,
    /// Images per step.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub batch_size: u32,
    /// The share of the training images, at their end, that is not trained on but validated with.
    #[arg(long, default_value_t = 0.2, value_parser = share, value_name = "SHARE")]
    pub validation_split: f64,
    /// What photographs go through first: caffe, tf or torch, as in Keras [default: Keras' for the network; vgg16 with
    /// torchvision's weights takes torch].
    #[arg(long, value_name = "MODE")]
    pub preprocessing: Option<Preprocessing>,
    /// Keep what the frozen backbone says of the images in this safetensors file, for the next run.
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// What the first weights of the head and the order of the images depend on.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// The device: cpu, part of a GPU's name, or a number of `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    pub device: Option<String>,
    /// Where the result goes: a folder without a training, or one that --overwrite removes.
    #[arg(long, default_value = "runs/finetune", value_name = "DIR")]
    pub out: PathBuf,
    /// Remove the training in --out when the new one begins.
    #[arg(long)]
    pub overwrite: bool,
}
