//! Finding a device for wgpu, or installing one.

use crate::apt;
use crate::shell::{Profile, Result, Shell};

/// What to do where we cannot do it ourselves.
const ADVICE: &str = "no Vulkan device was found, and there is none that could be installed from here. Install one of:
  the Vulkan driver of your graphics card
  Mesa's lavapipe, which computes on the processor (version 23 or later):
    Debian 12      apt install -t bookworm-backports mesa-vulkan-drivers libvulkan1
    Debian, Ubuntu apt install mesa-vulkan-drivers libvulkan1
    Fedora         dnf install mesa-vulkan-drivers vulkan-loader
    Arch           pacman -S vulkan-swrast vulkan-icd-loader
    Alpine         apk add mesa-vulkan-swrast vulkan-loader
then run this again. `cargo run --release -p kiln-cli -- devices` shows what Kiln finds.";

/// Makes sure that Kiln finds a device: asks `kiln devices`, and installs Mesa's lavapipe if there is none.
pub fn vulkan(shell: &mut Shell, profile: Profile) -> Result {
    let release = match profile {
        Profile::Dev => "",
        Profile::Release => " --release",
    };
    shell.run(&format!("cargo build{release} -p kiln-cli"))?;
    let devices = format!("cargo run --quiet{release} -p kiln-cli -- devices");
    if shell.output(&devices).is_none() {
        println!("\nno device found");
        if !cfg!(target_os = "linux") || !apt::install_lavapipe(shell)? {
            return Err(ADVICE.to_owned());
        }
    }
    shell.run(&devices)
}
