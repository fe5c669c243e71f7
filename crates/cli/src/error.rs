//! The errors of commands.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

use crate::commands::network::Known;

/// An error of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error of the library.
    #[error(transparent)]
    Kiln(#[from] kiln::Error),
    /// An error of a device.
    #[error(transparent)]
    Device(#[from] kiln::graph::DeviceError),
    /// An error of a data set.
    #[error(transparent)]
    Data(#[from] kiln::data::DataError),
    /// There is no data set or folder of this name.
    #[error(
        "unknown data set `{found}`; expected mnist, fashion-mnist, cifar10, cifar100, a folder or an archive (.tar.gz)"
    )]
    NoData {
        /// The requested value.
        found: String,
    },
    /// A folder contains no data set.
    #[error(
        "{}: expected the four files of MNIST (train-images-idx3-ubyte, …), those of CIFAR-10 (data_batch_1.bin, …) or CIFAR-100 (train.bin, test.bin), train.safetensors and test.safetensors, folders train and test with a folder of images for each class, or a folder of images for each class, found {found}",
        .folder.display()
    )]
    NotASet {
        /// The folder.
        folder: PathBuf,
        /// The actual contents.
        found: String,
    },
    /// A model has several inputs or outputs.
    #[error(
        "model `{model}`: expected a model with one input and one output, found the inputs {} and the outputs {}; use such a model with the library, with `Dataset::zip` and `Model::predict_outputs`", .inputs.join(", "), .outputs.join(", ")
    )]
    SeveralEnds {
        /// The model's name.
        model: String,
        /// The names of its inputs.
        inputs: Vec<String>,
        /// The names of its outputs.
        outputs: Vec<String>,
    },
    /// Training and test images have different classes.
    #[error("{}: expected the same classes in train and test, found {} and {}", .folder.display(), .train.join(", "), .test.join(", "))]
    OtherClasses {
        /// The folder that has both.
        folder: PathBuf,
        /// The classes of the training images.
        train: Vec<String>,
        /// The classes of the test images.
        test: Vec<String>,
    },
    /// Data have classes that a run was not trained on.
    #[error("{}: trained on the classes {}; {data}: found the classes {}; rename them to the run's classes", .run.display(), some(.trained), some(.found))]
    OtherClassesThanRun {
        /// The run.
        run: PathBuf,
        /// The classes of the run.
        trained: Vec<String>,
        /// Where the others come from.
        data: String,
        /// The classes there.
        found: Vec<String>,
    },
    /// A value contradicts the run.
    #[error("{}: trained with {trained}, found {found}", .run.display())]
    Contradiction {
        /// The run.
        run: PathBuf,
        /// The value of the training.
        trained: String,
        /// The requested or present value.
        found: String,
    },
    /// Pictures are the input of a run that was trained on floats.
    #[error(
        "{}: trained on f32 values, found bytes of pictures; choose their scale: --rescale 1/255 for values from 0 to 1, --rescale 1 for 0 to 255",
        .run.display()
    )]
    NoRule {
        /// The run.
        run: PathBuf,
    },
    /// The labels do not determine the loss.
    #[error(
        "--loss is required, because the labels are neither classes nor 0 and 1; for example --loss mean_squared_error or --loss binary_crossentropy"
    )]
    NoLoss,
    /// The output of a model is not classes.
    #[error("model `{model}` has an output of shape {gives}, expected [classes]; use --input and --output for tensors")]
    NoClasses {
        /// The model's name.
        model: String,
        /// The shape of its output.
        gives: String,
    },
    /// A folder contains no pictures.
    #[error("expected pictures (bmp, gif, jpg, png or webp) in {}, found none", .folder.display())]
    NoPicturesIn {
        /// The folder.
        folder: PathBuf,
    },
    /// A model has no run.json.
    #[error(
        "no run.json, the record of the training, in {}; set --data and --loss",
        .folder.display()
    )]
    NoRunFile {
        /// The folder.
        folder: PathBuf,
    },
    /// Images are damaged.
    #[error("{0}\nto leave them out, pass --skip-corrupt")]
    Corrupt(kiln::data::DataError),
    /// Training has diverged.
    #[error("{error}\n{kept}")]
    Diverged {
        /// The cause. Not a source, which would be printed again.
        error: Box<kiln::Error>,
        /// The location of the last finite weights.
        kept: String,
    },
    /// An archive names a file outside it.
    #[error("{}: expected paths inside the archive, found {}", .archive.display(), .path.display())]
    Outside {
        /// The archive.
        archive: PathBuf,
        /// The path in it.
        path: PathBuf,
    },
    /// An archive exceeds the limits of unpacking.
    #[error("{}: {problem}", .archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// The problem and what to do.
        problem: String,
    },
    /// An archive is missing.
    #[error("expected {name} in {}, found no such file", .folder.display())]
    NoArchive {
        /// The folder.
        folder: PathBuf,
        /// The archive's name.
        name: &'static str,
    },
    /// There is no model, file or folder of this name.
    #[error(
        "unknown network `{found}`; expected {}, a model.json or a folder with one, or a .keras, .h5 or .onnx file of a whole model",
        Known::names()
    )]
    NoModel {
        /// The requested value.
        found: String,
    },
    /// There is no backbone of this name.
    #[error("unknown backbone `{found}`; expected one of {names}")]
    NoBackbone {
        /// The requested value.
        found: String,
        /// The names of all backbones.
        names: String,
    },
    /// A backbone has no pretrained weights.
    #[error("{model} requires pretrained weights; pass a file with --weights")]
    NoWeights {
        /// The backbone.
        model: String,
    },
    /// A file lacks layers of a backbone.
    #[error("{}: no weights for the layers {}", .path.display(), .missing.join(", "))]
    PartOfBackbone {
        /// The file.
        path: PathBuf,
        /// The layers.
        missing: Vec<String>,
    },
    /// The value of `--augment` is invalid.
    #[error(
        "--augment {found}: {problem}; expected name=value, separated by commas, for example rotation_range=15,horizontal_flip=true"
    )]
    Augmentation {
        /// The value.
        found: String,
        /// The problem.
        problem: String,
    },
    /// The value of an option is invalid.
    #[error("{option}: {problem}")]
    Option {
        /// The option, as it is spelled.
        option: &'static str,
        /// The problem.
        problem: String,
    },
    /// The input of a network is not pictures.
    #[error(
        "model `{model}` has an input of shape {takes}, expected images [height, width, 1 or 3]; use --input for tensors"
    )]
    NoPictures {
        /// The model's name.
        model: String,
        /// The shape of a sample.
        takes: String,
    },
    /// A file of tensors is invalid.
    #[error("{}: {problem}", .path.display())]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The problem.
        problem: String,
    },
    /// A file or model that would be replaced.
    #[error("{} exists; choose another name, or pass --overwrite to replace it", .path.display())]
    Exists { path: PathBuf },
    /// A folder is not an output folder of `kiln train`.
    #[error("no model.json in {}; expected the output folder of `kiln train`", .found.display())]
    NoRun {
        /// The folder.
        found: PathBuf,
    },
    /// The training in a folder has no model yet.
    #[error("{}: the training there has not finished an epoch: it has no model yet", .folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// A prediction is not finite.
    #[error(
        "{of}: expected predictions that are finite, found NaN or infinity; check the weights and the values of this sample"
    )]
    NonFinitePrediction {
        /// The sample or the file.
        of: String,
    },
    /// The loss of finite predictions is not finite.
    #[error("{data}: expected a finite loss, as all predictions are finite, found {loss}; check the labels")]
    NonFiniteLoss {
        /// The samples.
        data: String,
        /// The loss.
        loss: f64,
    },
    /// Another process trains in a folder.
    #[error("{}: another training {}writes there; wait until it ends, or choose another folder with --out", .folder.display(), by(.process))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The number of the process, if it is known.
        process: String,
    },
    /// A folder contains a training, and `--overwrite` is not set.
    #[error("{}: expected a folder without a training, found {what}; choose another one with --out, or replace it with --overwrite (train: or continue with --resume)", .folder.display())]
    HoldsRun {
        /// The folder.
        folder: PathBuf,
        /// The actual contents.
        what: String,
    },
    /// A folder contains no training to resume.
    #[error("{}: expected a training to resume, found {found}; start one without --resume, and with --overwrite to replace the folder's contents", .folder.display())]
    NothingToResume {
        /// The folder.
        folder: PathBuf,
        /// The actual contents.
        found: &'static str,
    },
    /// The requested training is not the one to resume.
    #[error("{}: the training there cannot be resumed with other options:{}\nremove these options to resume it, or start a new training with another --out", .folder.display(), lines(.differences))]
    OtherTraining {
        /// The folder.
        folder: PathBuf,
        /// The differences.
        differences: Vec<String>,
    },
    /// Arguments conflict.
    #[error("{0}")]
    Usage(String),
    /// A JSON file is invalid.
    #[error("cannot read or write {}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// A filter matches nothing.
    #[error("no name contains `{found}`; the names are {}", .names.join(", "))]
    Filter {
        /// The requested value.
        found: String,
        /// The available names.
        names: Vec<String>,
    },
    /// Signals cannot be watched.
    #[error("cannot watch for Ctrl-C")]
    Signal {
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// `read`, `write`, …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is missing.
    #[error("expected {name} or {name}.gz in {}, found neither", .folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file.
        name: &'static str,
    },
    /// The hash of a file does not match.
    #[error("{file}: expected contents with sha256 {expected}, found {found}")]
    Hash {
        /// The file or its address.
        file: String,
        /// The hash of the right contents.
        expected: &'static str,
        /// The hash of the actual contents.
        found: String,
    },
    /// A program called by Kiln is missing or fails.
    #[error("`{command}` failed: {message}")]
    Command {
        /// The command line.
        command: String,
        /// Its message.
        message: String,
    },
    /// A server refuses a request.
    #[error("{url}: expected the file, found HTTP status {status}")]
    Status {
        /// The file's address.
        url: String,
        /// The answer.
        status: u16,
    },
    /// A file cannot be downloaded.
    #[error("cannot download {url}")]
    Download {
        /// The file's address.
        url: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// All sources of a data set failed.
    #[error("{set} could not be downloaded{}\n  {advice}", list(.tried))]
    NoSource {
        /// The data set's name.
        set: &'static str,
        /// The sources and their errors.
        tried: Vec<(String, Error)>,
        /// The advice to the user.
        advice: String,
    },
    /// A picture cannot be drawn.
    #[error("cannot draw {}: {message}", .path.display())]
    Picture {
        /// The picture's file.
        path: PathBuf,
        /// Why not.
        message: String,
    },
}

impl Error {
    /// For `map_err`: an [`Error::File`].
    pub fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { doing, path, source }
    }
}

/// An error and its causes as text, with the library's arguments replaced by a command's options.
pub fn words(error: &Error, command: &clap::Command) -> String {
    let text = chain(error);
    let text = match option("image_size", command) {
        Some(option) => text.replace("an `image_size`", &format!("{option} HxW")),
        None => text,
    };
    let Error::Kiln(error) = error else { return text };
    match error {
        kiln::Error::Argument { name: "mode", .. } => match option("reduce_lr_on_plateau", command) {
            Some(option) => {
                format!("{option} {text}").replace("Mode::Min or Mode::Max", "min or max").replace("Mode::Auto", "auto")
            }
            None => text,
        },
        kiln::Error::Argument { name, .. } => match option(name, command) {
            Some(option) => format!("{option}{}", text.strip_prefix(name).unwrap_or_default()),
            None => text,
        },
        kiln::Error::NoSoftmax { .. } => match option("from_logits", command) {
            Some(option) => text
                .replace("add `Activation::Softmax`", "end the network with a softmax")
                .replace("add `Activation::Sigmoid`", "end the network with a sigmoid")
                .replace("set `from_logits: true`", &format!("pass {option}")),
            None => text,
        },
        kiln::Error::BatchTooLarge { fits, .. } if *fits > 0 => match option("batch_size", command) {
            Some(size) => match option("accumulate", command) {
                Some(shards) => format!("{text}; pass {size} {fits}, or {shards} to compute batches in (more) shards"),
                None => format!("{text}; pass {size} {fits}"),
            },
            None => text,
        },
        _ => text,
    }
}

/// The option of a command that sets an argument of the library.
fn option(argument: &str, command: &clap::Command) -> Option<String> {
    let name = match argument {
        "clipnorm" => "clip-norm".to_owned(),
        "clipvalue" => "clip-value".to_owned(),
        "global_clipnorm" => "global-clip-norm".to_owned(),
        "ema_momentum" => "ema".to_owned(),
        _ => argument.replace('_', "-"),
    };
    let known = command.get_arguments().any(|argument| argument.get_long() == Some(name.as_str()));
    known.then(|| format!("--{name}"))
}

/// An error and its causes, without those that it already names.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            let _ = write!(text, ": {message}");
        }
        cause = error.source();
    }
    text
}

/// The first few names as text.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names.len() {
        0 => "without names".to_owned(),
        all if all > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), all - SHOWN),
        _ => names.join(", "),
    }
}

fn lines(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  {item}")).collect()
}

fn by(process: &str) -> String {
    if process.is_empty() { String::new() } else { format!("(process {process}) ") }
}

fn list(tried: &[(String, Error)]) -> String {
    tried.iter().map(|(source, error)| format!("\n  {source}: {}", chain(error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_named_as_the_command_line_spells_them() {
        let command =
            clap::Command::new("train").args(["batch-size", "clip-norm"].map(|name| clap::Arg::new(name).long(name)));
        let error = |name| {
            let (expected, found) = ("1 to 8".to_owned(), "9".to_owned());
            words(&kiln::Error::Argument { name, expected, found }.into(), &command)
        };
        assert_eq!(error("batch_size"), "--batch-size: expected 1 to 8, found 9");
        assert_eq!(error("clipnorm"), "--clip-norm: expected 1 to 8, found 9");
        assert_eq!(error("layers"), "layers: expected 1 to 8, found 9", "no option sets it");
    }
    #[test]
    fn advice_is_for_the_command_line() {
        let command = clap::Command::new("train")
            .args(["image-size", "from-logits", "reduce-lr-on-plateau"].map(|name| clap::Arg::new(name).long(name)));
        let (expected, found) = ("an image of 4 x 4, as a.png is, or an `image_size`".to_owned(), "b".to_owned());
        let size = kiln::data::DataError::Format { path: "c.png".into(), expected, found };
        let text = words(&size.into(), &command);
        assert_eq!(text, "c.png: expected an image of 4 x 4, as a.png is, or --image-size HxW, found b");

        let no_softmax = |outputs| {
            let (model, found) = ("m".to_owned(), "matmul".to_owned());
            words(&kiln::Error::NoSoftmax { model, loss: "l", found, outputs }.into(), &command)
        };
        for (outputs, advice) in [(1, "sigmoid"), (2, "softmax")] {
            let expected =
                format!("; end the network with a {advice}, or pass --from-logits if the outputs are logits");
            assert!(no_softmax(outputs).ends_with(&expected), "{}", no_softmax(outputs));
        }

        let (expected, found) = ("Mode::Min or Mode::Max, as so".to_owned(), "Mode::Auto".to_owned());
        let mode = words(&kiln::Error::Argument { name: "mode", expected, found }.into(), &command);
        assert_eq!(mode, "--reduce-lr-on-plateau mode: expected min or max, as so, found auto");
    }
}
