//! `kiln predict`: a network's predictions for pictures or tensors.

mod answer;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kiln::data::{Interpolation, Preprocessing};
use kiln::models::imagenet_class_names;
use kiln::{Device, LoadModel, Model};

use self::answer::{Answer, as_json, as_table};
use super::network::{self, Known};
use super::pictures::{self, Found, Reader};
use super::run::{self, DType, Rescale, Run};
use super::weights::Weights;
use super::{counted, devices};
use crate::error::{Error, chain};
use crate::tensors;

/// Classify pictures with a trained network, or run a network on tensors.
///
/// Pictures (PNG, JPEG, GIF, BMP, WebP) are resized to the network's input, without keeping the aspect ratio, and
/// scaled and standardized as in training (recorded in run.json). For a network without a run.json, they are resized to
/// the nearest pixel, as by Keras' load_img, and divided by 255 unless the network scales them itself. The
/// backbones (`kiln finetune --help` lists them) predict the classes of ImageNet, with
/// pretrained weights.
///
/// If a picture cannot be read, or its prediction is not finite, the others are still shown, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln predict runs/cifar10_deep cat.jpg dog.png
  kiln predict runs/cifar10_deep photos/ --top 3 --json
  kiln predict inception_v3 --weights inception_v3.safetensors photo.jpg
  kiln predict mobilenet.keras photo.jpg
  kiln predict model.json --weights w.safetensors --input x.safetensors --output y.safetensors

The --input file has a tensor x [samples, …] of f32 or u8. For a network trained by `kiln train`, values of the type of the
training data (bytes of pictures are u8) are scaled as in training; all other values are used unscaled. The --output file
has a tensor y with the network's output for each sample.")]
pub struct Arguments {
    /// The output folder of `kiln train` or `kiln finetune`, a model.json, a .keras, .h5 or .onnx file of a whole model, or a
    /// backbone.
    model: PathBuf,
    /// The pictures, and folders of pictures.
    #[arg(required_unless_present = "input")]
    images: Vec<PathBuf>,
    /// The weights: safetensors, Keras' HDF5 or .keras, or a file of the Hugging Face hub [default: weights.safetensors
    /// beside model.json, or those in the file].
    #[arg(long, value_parser = Weights::parse, value_name = "FILE|hub:OWNER/NAME[/FILE]")]
    weights: Option<Weights>,
    /// The preprocessing of pictures for a backbone: caffe, tf or torch, as in Keras [default: Keras' for the network; use
    /// torch for torchvision's vgg16].
    #[arg(long, value_name = "MODE")]
    preprocessing: Option<Preprocessing>,
    /// Scale values by this factor and add the offset, instead of the run's scaling, for example 1/255 or 1/127.5,-1.
    #[arg(long, value_name = "SCALE[,OFFSET]", conflicts_with = "preprocessing", allow_hyphen_values = true)]
    rescale: Option<Rescale>,
    /// The interpolation of resized pictures for a network without a run.json: nearest, bilinear, bicubic, lanczos, box
    /// or hamming [default: nearest].
    #[arg(long, value_name = "NAME")]
    interpolation: Option<Interpolation>,
    /// Run on the tensor x of this safetensors file.
    #[arg(long, value_name = "FILE", requires = "output", conflicts_with = "images")]
    input: Option<PathBuf>,
    /// Write the outputs as the tensor y of this safetensors file.
    #[arg(long, value_name = "FILE", requires = "input")]
    output: Option<PathBuf>,
    /// The number of classes to show for each picture.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    top: u32,
    /// Print JSON: for each picture its file and its classes with their probabilities, the output values of a
    /// regression, or the error.
    #[arg(long)]
    json: bool,
    /// The device: cpu, part of a GPU's name, or a number from `kiln devices` [default: $KILN_DEVICE, or the best one].
    #[arg(long, value_name = "NAME|N")]
    device: Option<String>,
}

/// A network and its run.
struct Trained {
    model: Model,
    run: Run,
    /// The folder of the run, if any.
    folder: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut trained = find(arguments)?;
    let device = devices::open(arguments.device.as_deref())?;
    trained.model.to_device(&device)?;
    match (&arguments.input, &arguments.output) {
        (Some(input), Some(output)) => on_tensors(trained, arguments, &device, [input, output]),
        _ => on_pictures(trained, arguments),
    }
}

fn find(arguments: &Arguments) -> Result<Trained, Error> {
    if let Some(known) = arguments.model.to_str().and_then(Known::named)
        && let Some(backbone) = known.as_backbone()
    {
        let no_weights = || Error::NoWeights { model: known.name.to_owned() };
        let mut model = known.build(known.input_shape, known.classes);
        model.load_weights(arguments.weights.as_ref().ok_or_else(no_weights)?.path()?)?;
        let classes = imagenet_class_names().into_iter().map(str::to_owned).collect();
        let usual = backbone.preprocessing.filter(|_| arguments.rescale.is_none());
        let run = Run { classes, preprocessing: arguments.preprocessing.or(usual), ..Run::unknown(&model) };
        return Ok(arguments.untrained(model, run));
    }
    let Some(path) = network::file(&arguments.model) else {
        return Err(run::no_run(&arguments.model));
    };
    let model = network::single(network::load(&path, arguments.weights.as_ref(), LoadModel::default())?)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    match Run::load(folder)? {
        Some(run) => {
            run.check_model(folder, &model)?;
            arguments.check(folder, &run)?;
            Ok(Trained { model, run, folder: Some(folder.to_owned()) })
        }
        None => {
            let run = Run { preprocessing: arguments.preprocessing, ..Run::unknown(&model) };
            Ok(arguments.untrained(model, run))
        }
    }
}

impl Arguments {
    /// A network without a run.
    fn untrained(&self, model: Model, run: Run) -> Trained {
        let interpolation = self.interpolation.unwrap_or(run.interpolation);
        Trained { model, run: Run { interpolation, ..run }, folder: None }
    }

    /// # Errors
    /// If the arguments contradict how the training read its pictures.
    fn check(&self, folder: &Path, run: &Run) -> Result<(), Error> {
        if let Some(found) = self.interpolation.filter(|&found| found != run.interpolation) {
            let found = format!("--interpolation {}", found.name());
            return Err(run.contradicts(folder, &found, format!("interpolation {}", run.interpolation.name())));
        }
        if let Some(found) = self.preprocessing.filter(|&found| Some(found) != run.preprocessing) {
            let trained = run
                .preprocessing
                .map_or("no preprocessing".to_owned(), |mode| format!("preprocessing {}", mode.name()));
            return Err(run.contradicts(folder, &format!("--preprocessing {}", found.name()), trained));
        }
        Ok(())
    }
}

fn on_tensors(
    mut trained: Trained,
    arguments: &Arguments,
    device: &Device,
    [input, output]: [&Path; 2],
) -> Result<ExitCode, Error> {
    let mut data = tensors::samples(input)?;
    let mut words = "values go in as they are".to_owned();
    if trained.folder.is_none() {
        trained.run.dtype = DType::of(&data);
    }
    if trained.folder.is_some() || arguments.rescale.is_some() || arguments.preprocessing.is_some() {
        let folder = trained.folder.as_deref().unwrap_or(Path::new("."));
        let prepared = trained.run.prepared(folder, &trained.model, data, arguments.rescale)?;
        (data, words) = (prepared.data, prepared.words);
    }
    let predictions = trained.model.predict(&data)?;
    tensors::write(output, "y", &predictions.shape, &predictions.values)?;
    let samples = counted(data.len(), "samples");
    println!("{samples} on {}: y {} in {}", device.info().name, predictions.shape, output.display());
    println!("{words}");
    match predictions.first_non_finite() {
        Some(sample) => Err(Error::NonFinitePrediction { of: format!("sample {sample} of {}", input.display()) }),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn on_pictures(trained: Trained, arguments: &Arguments) -> Result<ExitCode, Error> {
    let Trained { model, run, folder } = trained;
    let outputs = model.output_shape()?.clone();
    if outputs.len() != 1 {
        return Err(Error::NoClasses { model: model.name().to_owned(), gives: outputs.to_string() });
    }
    let reader = Reader::new(&model, run.interpolation)?;
    let Found { files, problems } = pictures::find(&arguments.images);
    let mut failed = !problems.is_empty();
    problems.iter().for_each(|problem| eprintln!("error: {}", chain(problem)));
    let mut answers = Vec::new();
    for files in files.chunks(reader.at_once()) {
        let (data, problems) = reader.read(files)?;
        let rows = match data.is_empty() {
            true => Vec::new(),
            false => {
                let folder = folder.as_deref().unwrap_or(Path::new("."));
                model.predict(&run.prepared(folder, &model, data, arguments.rescale)?.data)?.values
            }
        };
        let mut rows = rows.chunks(outputs.elements());
        let first = answers.len();
        for (file, problem) in files.iter().zip(problems) {
            let answer = match problem {
                Some(problem) => Err(Error::from(problem)),
                None => Answer::of(&run, rows.next().unwrap_or_default(), arguments.top as usize)
                    .ok_or_else(|| Error::NonFinitePrediction { of: file.display().to_string() }),
            };
            let answer = answer.unwrap_or_else(|problem| {
                failed = true;
                let problem = chain(&problem);
                eprintln!("error: {problem}");
                Answer::Problem(problem)
            });
            answers.push((file.clone(), answer));
        }
        if !arguments.json {
            super::show(&as_table(&answers[first..]));
        }
    }
    if arguments.json {
        super::show(&as_json(&answers));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
