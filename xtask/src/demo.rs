//! `cargo xtask demo`: from nothing to a trained network.

use crate::shell::{Result, Shell};

/// Where the demo leaves what it has trained.
const RUN: &str = "runs/demo";
/// As many epochs as it takes to about 99 % of the test images; more gain a tenth of a percent.
const EPOCHS: u32 = 6;

/// Fetches MNIST, trains LeNet on the default device, and evaluates it. Needs no driver: where there is no GPU, the
/// processor is the default.
pub fn demo(shell: &mut Shell) -> Result {
    let kiln = "cargo run --quiet --release -p kiln-train --";
    shell.run("cargo build --release -p kiln-train")?;
    shell.run(&format!("{kiln} devices"))?;
    shell.run(&format!("{kiln} data mnist"))?;
    shell.run(&format!("{kiln} train lenet --epochs {EPOCHS} --out {RUN} --overwrite"))?;
    shell.run(&format!("{kiln} evaluate {RUN}"))?;

    let run = shell.root().join(RUN);
    println!("\nLeNet has learnt MNIST:");
    for (file, what) in [
        ("model.json", "the network"),
        ("weights.safetensors", "its weights"),
        ("history.json", "loss and accuracy of each epoch"),
        ("history.png", "the same as a picture"),
    ] {
        println!("  {:<60} {what}", run.join(file).display().to_string());
    }
    println!("\nAnother data set:  {kiln} train lenet --data fashion-mnist --out runs/fashion");
    println!("See the rest:      {kiln} --help");
    Ok(())
}
