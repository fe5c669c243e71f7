//! `cargo xtask demo`: from nothing to a trained network.

use crate::setup;
use crate::shell::{Profile, Result, Shell};

/// Where the demo leaves what it has trained.
const RUN: &str = "runs/lenet";

/// Finds a device, fetches MNIST, trains LeNet for about five minutes and evaluates it.
pub fn demo(shell: &mut Shell) -> Result {
    setup::vulkan(shell, Profile::Release)?;
    let kiln = "cargo run --quiet --release -p kiln-cli --";
    shell.run(&format!("{kiln} data mnist"))?;
    shell.run(&format!("{kiln} train lenet --minutes 5 --out {RUN}"))?;
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
    println!("\nTrain longer:  {kiln} train lenet --epochs 20 --out {RUN}");
    println!("See the rest:  {kiln} --help");
    Ok(())
}
