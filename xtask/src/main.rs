//! `cargo xtask demo | test | setup | isa | gpu-day`: tasks for newcomers and CI. Depends only on the standard library, so
//! that it builds quickly.

mod apt;
mod demo;
mod gpu_day;
mod isa;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use shell::{Result, Shell};

const USAGE: &str = "usage: cargo xtask <command>

  demo    downloads MNIST, trains LeNet for 6 epochs on the GPU or else the processor, evaluates it
          and lists the output files
  test    finds or installs a Vulkan device, then checks format, lints, docs and packages and runs all tests,
          those of models on both the processor and that device, and the quick examples
  setup   only finds or installs a Vulkan device
  isa     compiles the kernels of the networks for AMD's GPUs with Mesa's RADV, which needs none, and checks their
          machine code; `cargo xtask isa --help` lists its arguments
  gpu-day packs the release, PyTorch's benchmark and a script that measures both within 9 minutes on a machine with a
          GPU and no network into the folder .gpu; --rehearse runs the script here, on a software driver. That machine
          needs at least this one's version of glibc";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let run = |command: fn(&mut Shell) -> Result| Shell::new().and_then(|mut shell| command(&mut shell));
    let run_with = |command: fn(&mut Shell, &[&str]) -> Result, options: &[&str]| {
        Shell::new().and_then(|mut shell| command(&mut shell, options))
    };
    let done = match arguments[..] {
        ["demo"] => run(demo::demo),
        ["test"] => run(test::test),
        ["setup"] => run(setup::setup),
        ["isa", ref options @ ..] => run_with(isa::isa, options),
        ["gpu-day", ref options @ ..] => run_with(gpu_day::gpu_day, options),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
