//! The options of a command line as text, including those that other files add to `kiln train`, so that a later command
//! line can be compared with them and completed from them.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use serde::{Deserialize, Serialize};

use super::Arguments;
use crate::commands::augment;

/// The options set on a command line: for each the value of each occurrence, `None` for a flag. In JSON, a list of
/// `--name=value` and `--flag`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Options(BTreeMap<String, Vec<Option<String>>>);

impl Options {
    /// The values of an option, if it is set.
    pub fn get(&self, name: &str) -> Option<&[Option<String>]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The names of all options.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The options whose names are, or are not, among `names`.
    pub fn only(&self, names: &[&str], are: bool) -> Options {
        let some = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()) == are);
        Options(some.map(|(name, values)| (name.clone(), values.clone())).collect())
    }

    /// These options, completed by those of `others`.
    pub fn or(&self, others: &Options) -> Options {
        let mut all = others.0.clone();
        all.extend(self.0.clone());
        Options(all)
    }

    /// Replaces the value of an option, if it is set.
    pub fn with(mut self, name: &str, value: String) -> Options {
        if let Some(values) = self.0.get_mut(name) {
            *values = vec![Some(value)];
        }
        self
    }

    /// The words of the command line.
    pub fn words(&self) -> Vec<String> {
        let word = |name: &String, value: &Option<String>| match value {
            Some(value) => format!("{name}={value}"),
            None => name.clone(),
        };
        self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| word(name, value))).collect()
    }

    /// Parses the arguments of `kiln train MODEL` with these options.
    pub fn parse(&self, model: &str) -> Result<Arguments, clap::Error> {
        let words = self.words().into_iter().chain(["--".to_owned(), model.to_owned()]);
        Arguments::from_arg_matches(&command().try_get_matches_from(words)?)
    }
}

impl From<Vec<String>> for Options {
    fn from(words: Vec<String>) -> Options {
        let mut options = Options::default();
        for word in words {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            options.0.entry(name).or_default().push(value);
        }
        options
    }
}

impl From<Options> for Vec<String> {
    fn from(options: Options) -> Vec<String> {
        options.words()
    }
}

/// Whether two values are equivalent: numbers and augmentations have several spellings.
pub fn equal(name: &str, one: &[Option<String>], other: &[Option<String>]) -> bool {
    let number = |text: &str| text.parse::<f64>().ok();
    let same = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) if name == "--augment" => {
            one == other || matches!((augment::parse(one), augment::parse(other)), (Ok(one), Ok(other)) if one == other)
        }
        (Some(one), Some(other)) => one == other || number(one).is_some_and(|one| number(other) == Some(one)),
        (one, other) => one == other,
    };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
}

/// The defaults known to the parser.
pub fn defaults() -> BTreeMap<String, String> {
    let default = |argument: &Arg| {
        let values: Vec<&OsStr> = argument.get_default_values().iter().map(|value| value.as_os_str()).collect();
        let takes_values = argument.get_action().takes_values() && !values.is_empty();
        takes_values.then(|| (name(argument), joined(&values, argument)))
    };
    command().get_arguments().filter_map(default).filter_map(|(name, value)| Some((name?, value))).collect()
}

/// The parser of options without the program's name.
fn command() -> Command {
    Arguments::augment_args(Command::new("kiln train").no_binary_name(true))
}

fn name(argument: &Arg) -> Option<String> {
    argument.get_long().map(|long| format!("--{long}"))
}

/// The values of one occurrence.
fn joined(values: &[&OsStr], argument: &Arg) -> String {
    let delimiter = argument.get_value_delimiter().unwrap_or(',').to_string();
    values.join(OsStr::new(&delimiter)).to_string_lossy().into_owned()
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Options, clap::Error> {
        let mut options = Options::default();
        for argument in command().get_arguments() {
            let id = argument.get_id().as_str();
            let (Some(name), Some(ValueSource::CommandLine)) = (name(argument), matches.value_source(id)) else {
                continue;
            };
            let values = match matches.get_raw_occurrences(id) {
                Some(occurrences) if argument.get_action().takes_values() => {
                    occurrences.map(|values| Some(joined(&values.collect::<Vec<_>>(), argument))).collect()
                }
                _ => vec![None],
            };
            options.0.insert(name, values);
        }
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Options::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Adds no argument: reads those of the other fields.
impl Args for Options {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn given(words: &[&str]) -> Options {
        let words = words.iter().copied().chain(["lenet"]);
        Arguments::from_arg_matches(&command().try_get_matches_from(words).unwrap()).unwrap().options
    }

    #[test]
    fn what_is_given_is_kept_and_parsed_again() {
        let options = given(&["--epochs", "3", "--no-shuffle", "--augment", "zoom_range=[0.5,2]", "--momentum=0.9"]);
        let words = ["--augment=zoom_range=[0.5,2]", "--epochs=3", "--momentum=0.9", "--no-shuffle"];
        assert_eq!(options.words(), words);
        let json = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<Options>(&json).unwrap(), options);
        let again = options.parse("-lenet").unwrap();
        assert_eq!((again.options, again.no_shuffle, again.model), (options, true, "-lenet".to_owned()));
        assert_eq!(given(&[]), Options::default());
        assert_eq!(defaults()["--batch-size"], "128");
    }

    #[test]
    fn values_are_compared_by_what_they_mean() {
        let equal = |name, one: &str, other: &str| equal(name, &[Some(one.into())], &[Some(other.into())]);
        assert!(equal("--learning-rate", "0.01", "1e-2") && !equal("--learning-rate", "0.01", "0.02"));
        assert!(equal("--augment", "zoom_range=0.5,horizontal_flip", "horizontal_flip=true,zoom_range=0.5"));
        assert!(!equal("--augment", "zoom_range=0.5", "zoom_range=0.25"));
        assert!(equal("--loss", "mse", "mse") && !equal("--loss", "mse", "mae"));
    }
}
