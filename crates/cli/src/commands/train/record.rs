//! The record of a training in `run.json` for `--resume`, and its comparison with the resuming command.

use std::collections::BTreeMap;
use std::path::Path;

use kiln::data::{Dataset, Labels, Values};
use kiln::optimizers::Optimizer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Arguments;
use super::options::{self, Options};
use crate::commands::source;
use crate::error::Error;

/// Options of the command, not of the training.
const OF_THE_CALL: [&str; 4] = ["--out", "--resume", "--resume-if-present", "--overwrite"];
/// Options that only matter before the first epoch.
const AT_THE_START: [&str; 1] = ["--weights"];
/// Options that may change when a training is resumed. (The data themselves are compared.)
const MAY_CHANGE: [&str; 10] = [
    "--accumulate",
    "--data",
    "--epochs",
    "--minutes",
    "--learning-rate",
    "--patience",
    "--tensorboard",
    "--device",
    "--skip-corrupt",
    "--stream",
];
/// Options that together set the limit: any new one replaces all.
const LIMITS: [&str; 2] = ["--epochs", "--minutes"];

/// The configuration of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The options set on the command line.
    pub options: Options,
    /// The defaults of the other options: epochs, batch size, seed, …
    pub defaults: BTreeMap<String, String>,
    /// The identity of the training data.
    pub data: Identity,
}

/// The identity of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// The number of training samples, including the validation set.
    pub samples: usize,
    /// The shape of a sample.
    pub shape: Vec<usize>,
    /// The scale and offset of the model's input.
    pub rescale: [f32; 2],
    /// A hash of all labels and of some samples.
    pub hash: String,
}

/// The arguments of a resumed training.
pub struct Merged {
    /// The new arguments, completed by those of the training.
    pub arguments: Arguments,
    /// The options kept from the training, as on the command line.
    pub kept: Vec<String>,
    /// The changes as text.
    pub changed: Vec<String>,
}

impl Training {
    /// Records a new training.
    pub fn new(arguments: &Arguments, optimizer: &dyn Optimizer, train: &Dataset) -> Result<Training, Error> {
        let given = arguments.options.only(&OF_THE_CALL, false);
        let mut defaults = options::defaults();
        defaults.extend(arguments.computed_defaults(optimizer));
        defaults.retain(|name, _| given.get(name).is_none());
        let given = given.with("--data", source::from_anywhere(arguments.data()));
        Ok(Training { options: given, defaults, data: Identity::of(train)? })
    }

    /// Records a resumed training, keeping the options of its start.
    pub fn continuing(self, before: &Training) -> Training {
        Training { options: self.options.or(&before.options.only(&AT_THE_START, true)), ..self }
    }

    /// Merges the options of this training of `model` with those of a command that resumes it.
    ///
    /// # Errors
    /// If that would be a different training, with all differences.
    pub fn merge(&self, arguments: &Arguments, model: &str, folder: &Path) -> Result<Merged, Error> {
        let given = &arguments.options;
        let (mut changed, mut refused) = (Vec::new(), Vec::new());
        for name in given.only(&OF_THE_CALL, false).names() {
            let new = given.get(name).unwrap_or_default();
            let default = self.defaults.get(name).map(|value| vec![Some(value.clone())]);
            let old = self.options.get(name).map(<[_]>::to_vec).or(default);
            if name == "--data" || old.as_ref().is_some_and(|old| options::equal(name, old, new)) {
                continue;
            }
            let words = format!("{name}: {} before, {} now", words(old.as_deref()), words(Some(new)));
            if MAY_CHANGE.contains(&name) { changed.push(words) } else { refused.push(words) }
        }
        if !refused.is_empty() {
            return Err(Error::OtherTraining { folder: folder.to_owned(), differences: refused });
        }
        let mut kept = self.options.only(&AT_THE_START, false);
        if LIMITS.iter().any(|limit| given.get(limit).is_some()) {
            kept = kept.only(&LIMITS, false);
        }
        let all = given.or(&kept);
        let usage = |error: clap::Error| {
            let text = error.render().to_string();
            let together = format!("together with the options of the training in {}", folder.display());
            Error::Usage(format!("{together}: {}", text.strip_prefix("error: ").unwrap_or(&text).trim_end()))
        };
        let parsed = all.parse(model).map_err(usage)?;
        let known: Vec<&str> = given.names().collect();
        Ok(Merged { arguments: parsed, kept: kept.only(&known, false).words(), changed })
    }
}

/// The values of an option as text.
fn words(values: Option<&[Option<String>]>) -> String {
    let Some(values) = values else { return "not given".to_owned() };
    let values: Vec<&str> = values.iter().map(|value| value.as_deref().unwrap_or("given")).collect();
    values.join(" ")
}

impl Identity {
    /// The number of hashed samples.
    const SAMPLES: usize = 64;

    /// # Errors
    /// If a streamed sample cannot be read.
    pub fn of(data: &Dataset) -> Result<Identity, Error> {
        let mut hash = Sha256::new();
        match data.labels() {
            Some(Labels::Index { values, classes }) => {
                hash.update((*classes as u64).to_le_bytes());
                values.iter().for_each(|label| hash.update(label.to_le_bytes()));
            }
            Some(Labels::Values { values, size }) => {
                hash.update((*size as u64).to_le_bytes());
                values.iter().for_each(|value| hash.update(value.to_le_bytes()));
            }
            None => {}
        }
        let (all, some) = (data.len(), data.len().min(Identity::SAMPLES));
        let numbers: Vec<u32> = (0..some).map(|i| (i * all / some) as u32).collect();
        match data.take(&numbers)?.values()? {
            Values::U8(values) => hash.update(&values[..]),
            Values::F32(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
        }
        Ok(Identity {
            samples: all,
            shape: data.sample_shape().to_vec(),
            rescale: [data.scale(), data.offset()],
            hash: hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Whether these are the samples and labels of a data set, regardless of scaling.
    ///
    /// # Errors
    /// If a streamed sample cannot be read.
    pub fn is_of(&self, data: &Dataset) -> Result<bool, Error> {
        let Identity { samples, shape, hash, .. } = Identity::of(data)?;
        Ok((samples, shape, &hash) == (self.samples, self.shape.clone(), &self.hash))
    }

    /// The difference between another data set and this one as text, if any.
    pub fn difference(&self, other: &Identity) -> Option<String> {
        let words = |what: &str, one: String, other: String| Some(format!("--data: {what} {one} before, {other} now"));
        match self {
            same if same == other => None,
            _ if self.samples != other.samples => {
                words("training samples:", self.samples.to_string(), other.samples.to_string())
            }
            _ if self.shape != other.shape => {
                words("shape of a sample:", format!("{:?}", self.shape), format!("{:?}", other.shape))
            }
            _ if self.rescale != other.rescale => {
                words("scale and offset:", format!("{:?}", self.rescale), format!("{:?}", other.rescale))
            }
            _ => Some("--data: the samples, or their order, are different from before".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn arguments(words: &[&str]) -> Arguments {
        Options::from(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).parse("lenet").unwrap()
    }

    fn data(values: Vec<u8>) -> Dataset {
        Dataset::from_u8([2], values, Labels::index(vec![0, 1, 0], 2)).unwrap()
    }

    fn training(words: &[&str]) -> Training {
        let arguments = arguments(words);
        Training::new(&arguments, arguments.compile(3).unwrap().optimizer.as_ref(), &data(vec![1, 2, 3, 4, 5, 6]))
            .unwrap()
    }

    fn merged(asked: &[&str], now: &[&str]) -> Result<Merged, Error> {
        training(asked).merge(&arguments(now), "lenet", Path::new("run"))
    }

    #[test]
    fn options_that_are_not_given_are_those_of_the_training() {
        let asked = ["--batch-size=64", "--no-shuffle", "--epochs=3", "--learning-rate=0.01", "--weights=w"];
        let merged = merged(&asked, &["--epochs=8", "--resume", "--out=x"]).unwrap();
        assert_eq!(merged.kept, ["--batch-size=64", "--learning-rate=0.01", "--no-shuffle"]);
        assert_eq!(merged.changed, ["--epochs: 3 before, 8 now"]);
        let arguments = merged.arguments;
        assert_eq!((arguments.batch_size, arguments.no_shuffle, arguments.epochs()), (64, true, Some(8)));
        assert!(arguments.weights.is_none() && arguments.place.resume);
    }

    #[test]
    fn how_a_training_began_stays_written_down() {
        let before = training(&["--weights=w", "--epochs=3"]);
        let after = training(&["--epochs=8"]).continuing(&before);
        assert_eq!(after.options.words(), ["--epochs=8", "--weights=w"]);
        assert!(after.merge(&arguments(&["--weights=w"]), "lenet", Path::new("run")).is_ok());
        assert!(after.merge(&arguments(&["--weights=v"]), "lenet", Path::new("run")).is_err());
    }

    #[test]
    fn one_limit_of_time_replaces_the_other() {
        let merged = merged(&["--minutes=5"], &["--epochs=8"]).unwrap();
        assert_eq!((merged.arguments.minutes, merged.arguments.epochs()), (None, Some(8)));
    }

    #[test]
    fn what_makes_another_training_is_refused_all_at_once() {
        let now = ["--seed=7", "--batch-size=32", "--validation-split=0.5", "--no-shuffle", "--augment=zoom_range=0.1"];
        let Err(Error::OtherTraining { differences, .. }) = merged(&["--seed=1"], &now) else { panic!() };
        let expected = [
            "--augment: not given before, zoom_range=0.1 now",
            "--batch-size: 128 before, 32 now",
            "--no-shuffle: not given before, given now",
            "--seed: 1 before, 7 now",
            "--validation-split: 0.2 before, 0.5 now",
        ];
        assert_eq!(differences, expected);
    }

    #[test]
    fn shards_are_those_of_the_training_and_may_change() {
        let before = merged(&["--accumulate=4"], &["--epochs=30"]).unwrap();
        assert_eq!((before.arguments.accumulate, before.kept), (4, vec!["--accumulate=4".to_owned()]));
        let more = merged(&["--accumulate=4"], &["--accumulate=8"]).unwrap();
        assert_eq!((more.arguments.accumulate, more.changed), (8, vec!["--accumulate: 4 before, 8 now".to_owned()]));
        assert_eq!(merged(&[], &["--accumulate=2"]).unwrap().changed, ["--accumulate: 1 before, 2 now"]);
    }

    #[test]
    fn what_says_the_same_in_other_words_changes_nothing() {
        let now = ["--learning-rate=1e-3", "--batch-size=128", "--optimizer=adam", "--epochs=20", "--seed=0"];
        let merged = merged(&[], &now).unwrap();
        assert_eq!((merged.changed.len(), merged.kept.len()), (0, 0));
    }

    #[test]
    fn data_are_known_by_their_samples_and_labels() {
        let one = Identity::of(&data(vec![1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!(one.difference(&Identity::of(&data(vec![1, 2, 3, 4, 5, 6])).unwrap()), None);
        let swapped = Identity::of(&data(vec![1, 2, 3, 4, 6, 5])).unwrap();
        assert!(one.difference(&swapped).unwrap().contains("the samples, or their order"));
        let rescaled = Identity::of(&data(vec![1, 2, 3, 4, 5, 6]).rescaled(1.0, 0.0)).unwrap();
        assert!(one.difference(&rescaled).unwrap().contains("scale and offset"));
        assert!(one.is_of(&data(vec![1, 2, 3, 4, 5, 6]).rescaled(1.0, 0.0)).unwrap());
        assert!(!one.is_of(&data(vec![1, 2, 3, 4, 6, 5])).unwrap());
    }
}
