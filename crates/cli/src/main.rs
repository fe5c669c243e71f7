//! The `kiln` command.

mod commands;
mod error;
mod fetch;
mod files;
mod interrupt;
mod plot;
mod progress;
mod tensors;
mod unpack;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    augment_preview, bench, check, convert, data, devices, evaluate, features, finetune, predict, profile, summary,
    train,
};

/// Train convolutional networks on a GPU or the processor, with hand-written WGSL kernels.
#[derive(Debug, Parser)]
#[command(
    name = "kiln",
    version,
    after_help = "\
First steps:
  kiln devices                 list the devices that Kiln can use
  kiln data mnist              download the handwritten digits
  kiln train lenet             train on them; results go to runs/lenet
  kiln evaluate runs/lenet     evaluate on the test images
  kiln check                   check that the device computes correctly
  kiln bench                   measure its speed

Environment:
  KILN_DEVICE      the device to use without --device: cpu, part of a GPU's name, or a number from `kiln devices`
  KILN_THREADS     the number of threads of the device cpu; by default one per core
  KILN_TUNE        the selection of kernels: cached, off or full; full measures them on first use
  KILN_ALGORITHMS  fast or direct: whether convolutions on the processor may use Winograd's algorithm
  KILN_DATA        the folder of data sets; by default kiln/ in the platform's cache folder

Exit status: 0 success, 1 failure, 2 invalid arguments, 130 stopped by Ctrl-C, 143 stopped by SIGTERM."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Devices(devices::Arguments),
    Data(data::Arguments),
    Train(Box<train::Arguments>),
    Evaluate(evaluate::Arguments),
    Predict(predict::Arguments),
    Features(features::Arguments),
    Finetune(finetune::Arguments),
    Summary(summary::Arguments),
    Convert(convert::Arguments),
    AugmentPreview(augment_preview::Arguments),
    Bench(bench::Arguments),
    Profile(profile::Arguments),
    Check(check::Arguments),
}

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let command = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()).command;
    let mut program = Arguments::command();
    program.build();
    let options = matches.subcommand_name().and_then(|name| program.find_subcommand_mut(name));
    let mut options = options.cloned().unwrap_or_default();
    if let Command::Train(arguments) = &command
        && !arguments.place.resumes()
        && let Some(conflict) = arguments.conflict()
    {
        options.error(ErrorKind::ArgumentConflict, conflict).exit();
    }
    let result = match command {
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Data(arguments) => data::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Features(arguments) => features::run(&arguments),
        Command::Finetune(arguments) => finetune::run(&arguments),
        Command::Summary(arguments) => summary::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::AugmentPreview(arguments) => augment_preview::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error::words(&error, &options));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }
}
