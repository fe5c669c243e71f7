//! Finding a device behind a driver, or installing one: tests need one beside the processor.

use crate::apt;
use crate::shell::{Profile, Result, Shell};

/// What `KILN_DEVICE` says for the first device behind a driver: the name of the interface.
pub const GPU: &str = if cfg!(any(target_os = "macos", target_os = "ios")) {
    "metal"
} else if cfg!(windows) {
    "dx12"
} else {
    "vulkan"
};

/// What to do where we cannot do it ourselves.
const ADVICE: &str = "no Vulkan device was found, and none could be installed from here. The tests run on one and on
the processor; only training needs none. Install one of:
  the Vulkan driver of your graphics card
  Mesa's lavapipe, which computes on the processor (version 23 or later):
    Debian 12      apt install -t bookworm-backports mesa-vulkan-drivers libvulkan1
    Debian, Ubuntu apt install mesa-vulkan-drivers libvulkan1
    Fedora         dnf install mesa-vulkan-drivers vulkan-loader
    Arch           pacman -S vulkan-swrast vulkan-icd-loader
    Alpine         apk add mesa-vulkan-swrast vulkan-loader
then run this again. `cargo run --release -p kiln-train -- devices` shows what Kiln finds.";

/// Makes sure that Kiln finds a GPU or a driver that stands in for one: asks `kiln devices` to open it, and installs
/// Mesa's lavapipe if there is none.
pub fn gpu(shell: &mut Shell, profile: Profile) -> Result {
    let release = match profile {
        Profile::Dev => "",
        Profile::Release => " --release",
    };
    shell.run(&format!("cargo build{release} -p kiln-train"))?;
    let devices = format!("cargo run --quiet{release} -p kiln-train -- devices");
    let variables = [("KILN_DEVICE", GPU)];
    if shell.output_with(&devices, &variables).is_none() {
        println!("\nno device behind {GPU} found");
        if !cfg!(target_os = "linux") || !apt::install_lavapipe(shell)? {
            return Err(ADVICE.to_owned());
        }
    }
    shell.run_with(&devices, &[], &variables)
}
