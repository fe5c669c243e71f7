//! The file of compiled pipelines: kept, and never trusted when it is damaged.

use std::path::{Path, PathBuf};

use kiln_gpu::{GpuDevice, Options, Selector, wgpu};
use kiln_graph::{Device, Plan, Step};
use sha2::{Digest, Sha256};

use crate::kernels::{affine, floats, named, planned};
use crate::{all, buffer};

/// The length of the hash at the start of a file, in bytes.
const HASH: usize = 32;

/// Opens a device with this cache folder and computes with it; whether its backend has caches.
fn computes(folder: &Path) -> bool {
    let plan = Plan {
        buffers: vec![named("x", 3), named("y", 3)],
        calls: planned(vec![affine(vec![floats(0, 3), floats(1, 3)], 3.0, 3, 1.0)]),
        ..Plan::default()
    };
    let device = GpuDevice::open(&Selector::Best, Options { cache: Some(folder.to_owned()), ..Options::default() });
    let device = device.unwrap();
    let buffers = [buffer(&device, &[1.0, 2.0, 3.0]), buffer(&device, &[0.0; 3])];
    let pending = device.program(&plan, &buffers).unwrap().run(&[Step::default()], all(&buffers[1])).unwrap();
    assert_eq!(crate::floats(&pending.wait().unwrap()), [4.0, 7.0, 10.0]);
    device.wgpu_device().features().contains(wgpu::Features::PIPELINE_CACHE)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A folder with a cache file, and what is in it; `None` where the backend has none.
fn filled() -> Option<(tempfile::TempDir, PathBuf, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("pipelines");
    if !computes(&cache) {
        assert!(!cache.exists(), "there is nothing to keep");
        return None;
    }
    let [file] = &files(&cache)[..] else { panic!("{:?}", files(&cache)) };
    let bytes = std::fs::read(file).unwrap();
    Some((folder, file.clone(), bytes))
}

/// Whether a file holds its hash and data.
fn is_whole(file: &Path) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.len() > HASH && bytes[..HASH] == Sha256::digest(&bytes[HASH..])[..]
}

/// Puts the hash of the data before it.
fn sealed(data: &[u8]) -> Vec<u8> {
    [&Sha256::digest(data)[..], data].concat()
}

#[test]
fn compiled_pipelines_are_kept_in_a_file_and_a_damaged_or_missing_one_changes_nothing() {
    let Some((_folder, file, bytes)) = filled() else { return };
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    computes(file.parent().unwrap());
    assert_eq!(files(file.parent().unwrap()), std::slice::from_ref(&file), "written anew, and nothing else is left");
    assert!(is_whole(&file));

    computes(&file); // a file where a folder should be
}

#[test]
fn a_cache_that_wgpu_refuses_is_replaced() {
    // The data begins with wgpu's header: a magic word, versions, the backend (byte 16), the adapter (17 to 31).
    let Some((_folder, file, bytes)) = filled() else { return };
    for place in (0..48).step_by(5).chain(16..32) {
        let mut data = bytes[HASH..].to_vec();
        data[place] ^= 0xff;
        std::fs::write(&file, sealed(&data)).unwrap();
        computes(file.parent().unwrap());
        assert!(is_whole(&file) && std::fs::read(&file).unwrap() != sealed(&data), "byte {place}");
    }
}

/// Seeded mutations of the whole file: none reaches the driver, each run computes, and the file is recreated.
/// `KILN_FUZZ` sets how many.
#[test]
fn mutations_of_the_cache_never_reach_the_driver() {
    let Some((_folder, file, bytes)) = filled() else { return };
    let count = std::env::var("KILN_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..count {
        let mut mutated = bytes.clone();
        match round % 4 {
            0 => mutated.truncate(random(bytes.len())),
            1 => mutated.extend((0..1 + random(99)).map(|i| i as u8)),
            _ => (0..1 + random(8)).for_each(|_| mutated[random(bytes.len())] ^= 1 << random(8)),
        }
        if mutated == bytes {
            continue;
        }
        std::fs::write(&file, &mutated).unwrap();
        computes(file.parent().unwrap());
        assert!(is_whole(&file), "round {round}");
    }
}
