//! Fuzzes the files that only the command line reads: they cause errors, never panics. `KILN_FUZZ` sets the number of
//! mutations of each.

#![allow(clippy::unwrap_used)]

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use kiln_bench::mutations;

use super::run::Run;
use crate::unpack::unpack;

#[test]
fn mutations_of_run_json() {
    let folder = tempfile::tempdir().unwrap();
    let run = Run {
        model: "lenet".to_owned(),
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        augment: Some("rotation_range=15,horizontal_flip=true".to_owned()),
        test_loss: Some(0.25),
        ..Run::default()
    };
    run.save(folder.path()).unwrap();
    let path = folder.path().join("run.json");
    let bytes = std::fs::read(&path).unwrap();
    let mut read = 0;
    for mutated in mutations(&bytes, 1, 500) {
        std::fs::write(&path, mutated).unwrap();
        read += usize::from(Run::load(folder.path()).is_ok());
    }
    assert!(read > 0, "some changes leave a run");
}

#[test]
fn mutations_of_archives() {
    let mut builder = tar::Builder::new(Vec::new());
    let long = format!("train/{}/1.jpg", "a".repeat(150));
    for name in ["train/cat/1.jpg", "train/dog/2.jpg", &long, "test/cat/3.jpg"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(name.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, name.as_bytes()).unwrap();
    }
    let plain = builder.into_inner().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&plain).unwrap();
    let from = tempfile::tempdir().unwrap();
    for (bytes, seed) in [(plain, 2), (packed.finish().unwrap(), 3)] {
        for mutated in mutations(&bytes, seed, 250) {
            let (path, into) = (from.path().join("set.tar"), tempfile::tempdir().unwrap());
            std::fs::write(&path, mutated).unwrap();
            let _ = unpack(&path, into.path());
            assert_eq!(std::fs::read_dir(from.path()).unwrap().count(), 1, "nothing lands outside");
        }
    }
}
