//! `cargo xtask gpu-day`: packs the files for measurements of a few minutes on a machine with a GPU and without a network.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Result, Shell};

/// The folder, relative to the repository's root; git ignores it.
const FOLDER: &str = ".gpu";
/// The most bytes of the folder: small enough to copy to a machine in a minute.
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
/// The folders of downloads, which are kept; everything else in the folder is written anew.
const DOWNLOADED: [&str; 2] = ["packages", "mnist"];
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
    let is_inside = |path: &str| {
        let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        absolute(Path::new(path)).starts_with(absolute(&folder))
    };
    if binary.is_some_and(is_inside) {
        return Err(format!("--binary: expected a program outside of {FOLDER}, which is emptied first"));
    }
    remove_all_but(&folder, &DOWNLOADED)?;
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
        return Err(format!(
            "{FOLDER} has {bytes} bytes; expected at most {MOST_BYTES}, which are copied to a machine in a minute"
        ));
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
    println!("the program needs at least this machine's version of glibc there");
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

/// Downloads the packages with apt, without those that are in the folder.
fn packages(shell: &mut Shell, folder: &Path) -> Result {
    create(folder)?;
    if shell.output("apt-get --version").is_none() {
        println!("without apt: the machine with the GPU must have the Vulkan loader (libvulkan1) itself");
        return Ok(());
    }
    let present = files(folder)?;
    let is_present = |package: &str| {
        let start = format!("{package}_");
        present.iter().any(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)))
    };
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_present(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    shell.run(&format!("env -C \"{}\" apt-get download {}", folder.display(), missing.join(" ")))
}

fn create(folder: &Path) -> Result {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

/// Removes the files and folders in a folder, except for those with these names.
fn remove_all_but(folder: &Path, names: &[&str]) -> Result {
    for path in files(folder)? {
        if path.file_name().is_some_and(|found| names.iter().any(|name| found == *name)) {
            continue;
        }
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|error| format!("cannot remove {}: {error}", path.display()))?;
    }
    Ok(())
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_script_asks_for_what_is_packed() {
        for file in ["$here/kiln", "$here/torch.py", "$here/mnist ", "$here/mnist-few ", "$here\"/packages/*.deb"] {
            assert!(RUN.contains(file), "{file}");
        }
    }

    #[test]
    fn only_downloads_are_kept() {
        let folder = std::env::temp_dir().join(format!("kiln-gpu-day-{}", std::process::id()));
        for name in ["packages", "mnist", "results"] {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::write(folder.join(name).join("file"), "").unwrap();
        }
        fs::write(folder.join("kiln"), "").unwrap();
        remove_all_but(&folder, &DOWNLOADED).unwrap();
        let left = size(&folder).unwrap();
        let is_kept = |name: &str| folder.join(name).join("file").exists();
        let kept = (is_kept("packages"), is_kept("mnist"), is_kept("results"));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!((left, kept), ((2, 0), (true, true, false)));
    }
}
