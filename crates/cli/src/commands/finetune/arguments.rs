//! The arguments of `kiln finetune`.

use std::path::PathBuf;

use kiln::Precision;
use kiln::data::Preprocessing;

use crate::commands::network::Known;
use crate::commands::source::Images;
use crate::commands::train::arguments::{positive, share};
use crate::commands::weights::Weights;

/// Fine-tune a pretrained backbone on new classes.
///
/// First trains only a new head on the frozen backbone with RMSprop: global average pooling, a dense layer of size
/// --head with ReLU, and softmax over the classes. The backbone's features of each image are computed once. Then, with
/// --then-unfreeze N, trains all layers from the Nth on with SGD and a small learning rate; for inception_v3, 249
/// unfreezes the last two blocks.
///
/// Writes the same files to --out as `kiln train`, except a checkpoint. A folder with a training is replaced only with
/// --overwrite, and only one training at a time can write to it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln finetune inception_v3 --weights inception_v3.safetensors --data photos/
  kiln finetune inception_v3 --weights inception_v3.safetensors --data photos/ --head 1024 --epochs 5 \\
      --then-unfreeze 249 --learning-rate 1e-4 --momentum 0.9 --out runs/photos
  kiln predict runs/photos cat.jpg

The --data folder has the folders train and test, each with a folder of images per class.")]
pub struct Arguments {
    #[arg(help = format!("The backbone: {}", Known::backbone_names()))]
    pub model: String,
    /// The backbone's weights; those of the classifier layers may be missing.
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    pub weights: Weights,
    /// The training data, as for `kiln train`.
    #[arg(long, value_name = "NAME|PATH")]
    pub data: String,
    #[command(flatten)]
    pub images: Images,
    /// The size of the dense layer of the new head; 0 for none.
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub head: usize,
    /// The number of epochs to train the head, and then the unfrozen layers.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub epochs: u32,
    /// Then train all layers from this index in `kiln summary` on; the input is 0.
    #[arg(long, value_name = "N")]
    pub then_unfreeze: Option<usize>,
    /// The learning rate of the unfrozen layers.
    #[arg(long, default_value_t = 1e-4, value_parser = positive, value_name = "RATE")]
    pub learning_rate: f64,
    /// The momentum of the unfrozen layers.
    #[arg(long, default_value_t = 0.9, value_parser = share, value_name = "SHARE")]
    pub momentum: f64,
    /// The batch size.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    pub batch_size: u32,
    /// The precision of matrix products and convolutions, as of `kiln train`.
    #[arg(long, default_value_t = Precision::Float32, value_name = "float32|mixed")]
    pub precision: Precision,
    /// The share of the training images, at their end, used for validation instead of training.
    #[arg(long, default_value_t = 0.2, value_parser = share, value_name = "SHARE")]
    pub validation_split: f64,
    /// The preprocessing of pictures: caffe, tf or torch, as in Keras [default: Keras' for the network; use torch for
    /// torchvision's vgg16].
    #[arg(long, value_name = "MODE")]
    pub preprocessing: Option<Preprocessing>,
    /// Cache the frozen backbone's features of the images in this safetensors file, for the next run.
    #[arg(long, value_name = "FILE")]
    pub cache: Option<PathBuf>,
    /// The random seed of the head's initial weights and of the order of the images.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    pub device: Option<String>,
    /// The output folder, which must not contain a training unless --overwrite is set.
    #[arg(long, default_value = "runs/finetune", value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the training in --out.
    #[arg(long)]
    pub overwrite: bool,
}
