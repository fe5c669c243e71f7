//! Replays a training recorded from Keras that is too large for the repository; `kiln_bench` has a smaller one.

use std::path::{Path, PathBuf};

use kiln_bench::Replay;

use crate::common::device;

/// Fixtures too large for the repository, in the folder `KILN_FIXTURES`, if set.
fn large_fixtures() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    std::env::var_os("KILN_FIXTURES").map_or_else(beside, PathBuf::from)
}

#[test]
fn twenty_steps_of_lenet_are_those_of_keras() {
    let folder = large_fixtures().join("lenet_adam");
    if folder.exists() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/bench/fixtures/mnist-first");
        let replay = Replay::run(device(), &folder, &images).unwrap();
        assert_eq!(replay.steps, 20);
        assert_eq!(replay.problems(), [""; 0], "{replay:?}");
    } else {
        eprintln!("skipped: no {}", folder.display());
    }
}
