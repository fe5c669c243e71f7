//! `cargo xtask demo | test | setup`: tasks for newcomers and CI. Depends only on the standard library, so that it
//! builds quickly.

mod apt;
mod demo;
mod setup;
mod shell;
mod test;

use std::process::ExitCode;

use shell::Shell;

const USAGE: &str = "usage: cargo xtask <command>

  demo    downloads MNIST, trains LeNet for 6 epochs on the GPU or else the processor, evaluates it
          and lists the output files
  test    finds or installs a Vulkan device, then checks format, lints, docs and packages and runs all tests,
          those of models on both the processor and that device, and the quick examples
  setup   only finds or installs a Vulkan device";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["demo"] => demo::demo,
        ["test"] => test::test,
        ["setup"] => setup::setup,
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Shell::new().and_then(|mut shell| command(&mut shell)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("\nerror: {message}");
            ExitCode::FAILURE
        }
    }
}
