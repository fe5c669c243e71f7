//! Finds or installs a device with a driver, which tests need in addition to the processor.

use crate::apt;
use crate::shell::{Result, Shell};

/// The value of `KILN_DEVICE` for the first device with a driver: the name of the backend.
pub const GPU: &str = if cfg!(any(target_os = "macos", target_os = "ios")) {
    "metal"
} else if cfg!(windows) {
    "dx12"
} else {
    "vulkan"
};

/// The advice if no driver can be installed.
const ADVICE: &str =
    "no Vulkan device was found, and none could be installed automatically. The tests run on one and on
the processor; only training needs none. Install one of:
  the Vulkan driver of your graphics card
  Mesa's lavapipe, which computes on the processor (version 23 or later):
    Debian 12      apt install -t bookworm-backports mesa-vulkan-drivers libvulkan1
    Debian, Ubuntu apt install mesa-vulkan-drivers libvulkan1
    Fedora         dnf install mesa-vulkan-drivers vulkan-loader
    Arch           pacman -S vulkan-swrast vulkan-icd-loader
    Alpine         apk add mesa-vulkan-swrast vulkan-loader
then run this again. `cargo run --release -p kiln-train -- devices` shows what Kiln finds.";

/// Builds `kiln`, then finds a GPU or a software driver.
pub fn setup(shell: &mut Shell) -> Result {
    shell.run("cargo build --release -p kiln-train")?;
    let kiln = shell.built("release", "kiln");
    gpu(shell, &kiln)
}

/// Ensures that Kiln finds a GPU or a software driver, by opening it with `kiln devices`; installs Mesa's lavapipe if
/// there is none.
pub fn gpu(shell: &mut Shell, kiln: &str) -> Result {
    let (devices, variables) = (format!("{kiln} devices"), [("KILN_DEVICE", GPU)]);
    if shell.output_with(&devices, &variables).is_none() {
        println!("\nno {GPU} device found");
        if !cfg!(target_os = "linux") || !apt::install_lavapipe(shell)? {
            return Err(ADVICE.to_owned());
        }
    }
    shell.run_with(&devices, &[], &variables)
}
