//! Buffers: what is written is read.

use kiln_graph::{Device, DeviceError};

use crate::{device, values};

#[test]
fn a_new_buffer_is_zero() {
    let buffer = device().allocate("zeros", 4 * 257).unwrap();

    assert_eq!(values(&buffer), [0.0; 257]);
}

#[test]
fn sizes_are_rounded_up_to_whole_words() {
    assert_eq!(device().allocate("none", 0).unwrap().bytes(), 4);
    assert_eq!(device().allocate("five", 5).unwrap().bytes(), 8);
}

#[test]
fn a_part_is_written_and_a_part_is_read() {
    let buffer = device().allocate("parts", 16).unwrap();

    buffer.write(4, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();

    assert_eq!(buffer.read(0, 16).unwrap(), [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0]);
    assert_eq!(buffer.read(8, 4).unwrap(), [5, 6, 7, 8]);
    assert!(buffer.read(8, 0).unwrap().is_empty());
}

#[test]
fn the_last_of_two_writes_holds() {
    let buffer = device().allocate("twice", 8).unwrap();

    buffer.write(0, &[1; 8]).unwrap();
    buffer.write(4, &[2; 4]).unwrap();

    assert_eq!(buffer.read(0, 8).unwrap(), [1, 1, 1, 1, 2, 2, 2, 2]);
}

#[test]
fn a_hundred_megabytes_go_there_and_back() {
    let data: Vec<u8> = (0..100_u32 << 18).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let buffer = device().allocate("large", data.len() as u64).unwrap();

    buffer.write(0, &data).unwrap();

    assert!(buffer.read(0, data.len() as u64).unwrap() == data);
}

#[test]
fn ranges_outside_a_buffer_or_between_words_are_errors_that_say_so() {
    let buffer = device().allocate("small", 16).unwrap();

    for (offset, bytes, rule) in
        [(0, 20, "not within"), (16, 4, "not within"), (u64::MAX - 3, 8, "not within"), (2, 4, "multiples of 4")]
    {
        let errors =
            [buffer.read(offset, bytes).unwrap_err(), buffer.write(offset, &vec![0; bytes as usize]).unwrap_err()];
        for error in errors {
            assert!(matches!(error, DeviceError::Invalid { .. }), "{error}");
            assert!(error.to_string().contains(rule) && error.to_string().contains("`small`"), "{error}");
        }
    }
    assert!(buffer.read(0, 3).is_err());
}
