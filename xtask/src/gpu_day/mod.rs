//! `cargo xtask gpu-day`: packs everything that a few minutes on a machine with a GPU and without a network need.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Result, Shell};

/// The folder, relative to the repository's root; git ignores it.
const FOLDER: &str = ".gpu";
/// What the folder may hold at most: more is not carried to such a machine.
const MOST_BYTES: u64 = 64 << 20;
/// The Vulkan loader, and the libraries of X that NVIDIA's driver loads.
const PACKAGES: [&str; 14] = [
    "libvulkan1",
    "libegl1",
    "libglvnd0",
    "libopengl0",
    "libgl1",
    "libglx0",
    "libgles2",
    "libx11-6",
    "libxext6",
    "libxcb1",
    "libxau6",
    "libxdmcp6",
    "libbsd0",
    "libmd0",
];
/// The script that measures.
const RUN: &str = include_str!("run.sh");

/// Packs the folder, or with `--rehearse` also runs its script here, on a software driver. `--binary PATH` packs this
/// program instead of building the release.
pub fn gpu_day(shell: &mut Shell, options: &[&str]) -> Result {
    let (rehearse, binary) = match *options {
        [] => (false, None),
        ["--rehearse"] => (true, None),
        ["--binary", path] => (false, Some(path)),
        ["--rehearse", "--binary", path] | ["--binary", path, "--rehearse"] => (true, Some(path)),
        _ => return Err("usage: cargo xtask gpu-day [--rehearse] [--binary PATH]".to_owned()),
    };
    if !cfg!(target_os = "linux") {
        return Err("the folder is for Linux, and is packed on Linux".to_owned());
    }
    let folder = shell.root().join(FOLDER);
    create(&folder)?;
    let kiln = folder.join("kiln");
    match binary {
        Some(path) => copy(Path::new(path), &kiln)?,
        None => {
            shell.run("cargo build --release -p kiln-train")?;
            copy(Path::new(shell.built("release", "kiln").trim_matches('"')), &kiln)?;
        }
    }
    if binary.is_some() {
        // A release has no symbols.
        shell.run(&format!("strip \"{}\"", kiln.display()))?;
    }
    let script = folder.join("run.sh");
    fs::write(&script, RUN).map_err(|error| format!("cannot write {}: {error}", script.display()))?;
    copy(&shell.root().join("benches/peers/torch.py"), &folder.join("torch.py"))?;
    let mnist = folder.join("mnist");
    shell.run_with(&format!("\"{}\" data mnist --into", kiln.display()), &[&mnist.to_string_lossy()], &[])?;
    few_digits(shell.root(), &folder.join("mnist-few"))?;
    packages(shell, &folder.join("packages"))?;

    let (files, bytes) = size(&folder)?;
    println!("\n{files} files, {:.1} MiB in {}", bytes as f64 / f64::from(1 << 20), folder.display());
    if bytes > MOST_BYTES {
        return Err(format!("{FOLDER} has {bytes} bytes; at most {MOST_BYTES} are carried to a machine with a GPU"));
    }
    if rehearse {
        let out = shell.folder("rehearsal")?;
        return shell.run_with(
            &format!("bash \"{}\" --rehearse", script.display()),
            &[],
            &[("OUT", &out.to_string_lossy())],
        );
    }
    println!("on a machine with a GPU: OUT=results bash {FOLDER}/run.sh (at most 9 minutes)");
    println!("here, on a software driver: cargo xtask gpu-day --rehearse");
    Ok(())
}

/// The first digits of MNIST, for a rehearsal.
fn few_digits(root: &Path, folder: &Path) -> Result {
    create(folder)?;
    for (from, to) in [
        ("train-images", "train-images-idx3-ubyte"),
        ("train-labels", "train-labels-idx1-ubyte"),
        ("t10k-images", "t10k-images-idx3-ubyte"),
        ("t10k-labels", "t10k-labels-idx1-ubyte"),
    ] {
        let fixtures = root.join("crates/bench/fixtures/mnist-first");
        copy(&fixtures.join(format!("{from}.gz")), &folder.join(format!("{to}.gz")))?;
    }
    Ok(())
}

/// Downloads the packages with apt, unless they are there.
fn packages(shell: &mut Shell, folder: &Path) -> Result {
    create(folder)?;
    if shell.output("apt-get --version").is_none() {
        println!("without apt: the machine with the GPU must have the Vulkan loader (libvulkan1) itself");
        return Ok(());
    }
    let there = files(folder)?;
    let is_there = |package: &str| {
        let start = format!("{package}_");
        there.iter().any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)))
    };
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_there(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell.run(&format!("env -C \"{}\" apt-get download {}", folder.display(), missing.join(" ")))
}

fn create(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result {
    let failed = |error| format!("cannot copy {} to {}: {error}", from.display(), to.display());
    fs::copy(from, to).map(|_| ()).map_err(failed)
}

/// The files of a folder, without those in its folders.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// The number of files in a folder and its folders, and their bytes.
fn size(folder: &Path) -> Result<(usize, u64)> {
    let mut sum = (0, 0);
    for path in files(folder)? {
        let (count, bytes) = match path.is_dir() {
            true => size(&path)?,
            false => (1, fs::metadata(&path).map_or(0, |file| file.len())),
        };
        sum = (sum.0 + count, sum.1 + bytes);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_asks_for_what_is_packed() {
        for file in ["$here/kiln", "$here/torch.py", "$here/mnist ", "$here/mnist-few ", "$here\"/packages/*.deb"] {
            assert!(RUN.contains(file), "{file}");
        }
        assert!(RUN.contains("limit=525"), "less than 9 minutes");
    }
}
