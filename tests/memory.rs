//! A model's memory on its device after batches of many sizes.

use kiln::data::{Dataset, Labels};
use kiln::{Compile, Device, Fit, Model, models};

use crate::common::{bars, device, model};

fn compiled(device: &Device) -> Model {
    let mut model = model();
    model.compile(device, Compile::default()).unwrap();
    model
}

fn images(count: usize) -> Dataset {
    Dataset::from_u8([28, 28, 1], vec![7; count * 784], Labels::index(vec![0; count], 10)).unwrap()
}

#[test]
fn predictions_of_rising_batches_hold_at_most_twice_what_the_largest_does() {
    let lenet = || {
        let mut model = models::lenet([28, 28, 1], 10);
        assert_eq!(model.device_bytes(), 0);
        model.to_device(device()).unwrap();
        model
    };
    let (rising, largest) = (lenet(), lenet());
    let before = rising.device_bytes();
    for count in [1, 2, 3, 5, 9, 17, 31, 64, 100, 127, 128] {
        rising.predict(&images(count)).unwrap();
    }
    largest.predict(&images(128)).unwrap();
    let (found, alone) = (rising.device_bytes() - before, largest.device_bytes() - before);
    assert!((alone..=2 * alone).contains(&found), "{found} bytes, the largest batch alone {alone}");
    // The size of 128 samples of the largest layer, 20 channels of 28 x 28, and of unfolded images.
    let layer = 128 * 20 * 784 * 4;
    assert!((layer..4 * layer).contains(&alone), "{alone} bytes, one layer has {layer}");
    // Samples of another type have their own programs, and unused buffers are freed.
    rising.predict_values(vec![0.5; 784]).unwrap();
    assert!(rising.device_bytes() < before + layer / 10);
}

#[test]
fn trainings_with_rising_batches_hold_at_most_twice_what_the_largest_does() {
    let data = bars(128);
    let fit = |model: &mut Model, batch_size| {
        let fit = Fit { batch_size, validation_data: Some(&data), ..Fit::default() };
        model.fit(&data, fit).unwrap();
    };
    let (mut rising, mut largest) = (compiled(device()), compiled(device()));
    for batch_size in (1..=128).step_by(3).chain([128]) {
        fit(&mut rising, batch_size);
    }
    fit(&mut largest, 128);
    let (rising, largest) = (rising.device_bytes(), largest.device_bytes());
    assert!(rising <= 2 * largest, "{rising} bytes, the largest batches alone {largest}");
}

#[test]
fn epochs_of_one_training_hold_what_the_first_one_does() {
    let (data, validation) = (bars(50), bars(31));
    let mut model = compiled(device());
    let mut held = Vec::new();
    for _ in 0..5 {
        model.fit(&data, Fit { batch_size: 8, validation_data: Some(&validation), ..Fit::default() }).unwrap();
        held.push(model.device_bytes());
    }
    assert_eq!(held, [held[0]; 5]);
}
