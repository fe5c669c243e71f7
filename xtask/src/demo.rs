//! `cargo xtask demo`: from nothing to a trained network.

use crate::shell::{Result, Shell};

/// The output folder of the demo.
const RUN: &str = "runs/demo";
/// Enough epochs for about 99 % test accuracy; more gain a tenth of a percent.
const EPOCHS: u32 = 6;

/// Downloads MNIST, trains LeNet on the default device, and evaluates it. Without a GPU, the processor is the default
/// device.
pub fn demo(shell: &mut Shell) -> Result {
    let kiln = "cargo run --quiet --release -p kiln-train --";
    shell.run("cargo build --release -p kiln-train")?;
    shell.run(&format!("{kiln} devices"))?;
    shell.run(&format!("{kiln} data mnist"))?;
    shell.run(&format!("{kiln} train lenet --epochs {EPOCHS} --out {RUN} --overwrite"))?;
    shell.run(&format!("{kiln} evaluate {RUN}"))?;

    let run = shell.root().join(RUN);
    println!("\nLeNet is trained on MNIST:");
    for (file, what) in [
        ("model.json", "the network"),
        ("weights.safetensors", "its weights"),
        ("history.json", "loss and accuracy of each epoch"),
        ("history.png", "learning curves"),
    ] {
        println!("  {:<60} {what}", run.join(file).display().to_string());
    }
    println!("\nAnother data set:  {kiln} train lenet --data fashion-mnist --out runs/fashion");
    println!("More commands:     {kiln} --help");
    Ok(())
}
