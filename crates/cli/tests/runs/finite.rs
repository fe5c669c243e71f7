//! Predictions that are not finite are errors, not classes.

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::common::{Place, found};

/// A run whose network overflows for pictures brighter than black.
fn overflowing() -> Place {
    let place = Place::new();
    place.dark_and_bright("photos", 4);
    place.model(&[4, 4, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    place.succeed("train m.json --data photos --epochs 1 --out r");
    let kernel: Vec<u8> = (0..96).flat_map(|i| [3e38_f32, -3e38][i % 2].to_le_bytes()).collect();
    let tensors = [
        ("layer1/kernel", TensorView::new(Dtype::F32, vec![48, 2], &kernel).unwrap()),
        ("layer1/bias", TensorView::new(Dtype::F32, vec![2], &[0; 8]).unwrap()),
    ];
    std::fs::write(place.path("r/weights.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    place.picture("mixed/black.png", 4, |_, _| 0);
    place.picture("mixed/white.png", 4, |_, _| 255);
    place
}

#[test]
fn evaluate_counts_no_sample_whose_prediction_is_not_finite() {
    let place = overflowing();
    let (status, out, error) = place.kiln("evaluate r --data photos");
    assert_eq!((status, &*out), (1, ""), "{error}");
    assert!(error.contains("sample 0 of ") && error.contains("expected predictions that are finite"), "{error}");
}

#[test]
fn predict_names_the_pictures_and_shows_the_others() {
    let place = overflowing();
    let (status, out, error) = place.kiln("predict r mixed --json");
    assert_eq!((status, found(&out)), (1, vec!["dark".to_owned(), "none".to_owned()]), "{error}");
    let expected = "mixed/white.png: expected predictions that are finite, found NaN or infinity";
    let answers: Value = serde_json::from_str(&out).unwrap();
    assert!(answers[1]["error"].as_str().unwrap().starts_with(expected) && error.contains(expected), "{out}{error}");
    let (status, out, _) = place.kiln("predict r mixed");
    assert!(status == 1 && out.contains("black.png") && !out.contains("white.png") && !out.contains("NaN"), "{out}");
}

#[test]
fn predictions_of_tensors_are_written_and_named_where_they_are_not_finite() {
    let place = overflowing();
    let x: Vec<u8> = [0_f32, 1.0].iter().flat_map(|value| value.to_le_bytes().repeat(48)).collect();
    place.write_x("x.safetensors", &[2, 4, 4, 3], Dtype::F32, &x);
    let error = place.fail("predict r --input x.safetensors --output y.safetensors");
    assert!(error.contains("sample 1 of x.safetensors: expected predictions that are finite"), "{error}");
    assert_eq!(place.tensor("y.safetensors", "y").len(), 4);
}

#[test]
fn a_label_that_is_not_a_number_is_no_result() {
    let place = Place::new();
    let write = |name: &str, last: f32| place.write_xy(name, (&[3, 1], &[0.0, 1.0, 2.0]), (&[3, 1], &[1.0, 2.0, last]));
    write("xy.safetensors", 3.0);
    write("nan.safetensors", f32::NAN);
    place.model(&[1], &[("Dense", json!({"units": 1}))]);
    place.succeed("train m.json --data xy.safetensors --loss mse --epochs 1 --out r");
    let (status, out, error) = place.kiln("evaluate r --data nan.safetensors");
    assert_eq!((status, &*out), (1, ""), "{error}");
    assert!(error.contains("nan.safetensors: expected a finite loss") && error.contains("found NaN"), "{error}");
}
