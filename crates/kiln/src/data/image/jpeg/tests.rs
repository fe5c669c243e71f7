#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::*;

/// The files written by `tests/peers/jpeg.py`.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg")
}

/// The values of an RGB image.
fn decoded(bytes: &[u8]) -> Vec<u8> {
    let image = decode(bytes, |_| true).unwrap();
    match image.channels {
        1 => image.values.iter().flat_map(|&value| [value; 3]).collect(),
        _ => image.values,
    }
}

#[test]
fn every_value_is_that_of_libjpeg() {
    let file = std::fs::read(folder().join("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&file).unwrap();
    assert_eq!(expected.len(), 24);
    for (name, tensor) in expected.iter() {
        let bytes = std::fs::read(folder().join(format!("{name}.jpg"))).unwrap();
        let found = decoded(&bytes);
        assert_eq!(found.len(), tensor.data().len(), "{name}");
        let worst = found.iter().zip(tensor.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "{name}");
    }
}

#[test]
fn a_file_cut_anywhere_is_cut_short() {
    for name in ["2x2", "2x2_progressive", "restart", "grey"] {
        let bytes = std::fs::read(folder().join(format!("{name}.jpg"))).unwrap();
        for length in 2..bytes.len() - 1 {
            let result = decode(&bytes[..length], |_| true);
            assert!(matches!(result, Err(Problem::CutShort)), "{name} cut to {length}");
        }
    }
}

#[test]
fn damage_within_a_scan_costs_what_is_coded_there() {
    let mut bytes = std::fs::read(folder().join("restart.jpg")).unwrap();
    let whole = decoded(&bytes);
    let at = bytes.len() - 40; // after the last but one restart marker
    bytes[at..at + 8].fill(0);
    let damaged = decoded(&bytes);
    assert!(damaged != whole && damaged[..damaged.len() / 2] == whole[..whole.len() / 2]);
}

#[test]
fn what_is_not_read_says_so() {
    let problem = |place: usize, value: u8| {
        let mut bytes = std::fs::read(folder().join("1x1.jpg")).unwrap();
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[frame + place] = value;
        match decode(&bytes, |_| true) {
            Err(Problem::Damaged(problem)) => problem,
            Err(other) => format!("{other:?}"),
            Ok(_) => "nothing".to_owned(),
        }
    };
    assert_eq!(problem(1, 0xc9), "arithmetic coding is not supported");
    assert_eq!(problem(1, 0xc3), "lossless coding is not supported");
    assert_eq!(problem(4, 12), "12 bits per value are not supported");
    assert_eq!(problem(11, 0x51), "a sampling factor that is not 1 to 4");
    assert_eq!(problem(5, 0xff), "CutShort", "65,317 rows of some hundred bytes");
}

#[test]
fn more_memory_than_is_allowed_is_not_taken() {
    let bytes = std::fs::read(folder().join("2x2.jpg")).unwrap();
    let mut asked = 0;
    let result = decode(&bytes, |needed| {
        asked = needed;
        false
    });
    assert!(matches!(result, Err(Problem::Memory { height: 37, width: 45, needed }) if needed == asked));
    assert_eq!(asked, 48 * 48 * 3 / 2 + 37 * 45 * 3);
}
