//! Pictures are read as in training.

use serde_json::json;

use crate::common::{Place, found};

/// Striped and plain pictures of 16 x 16. Every second column is white in both, so that nearest-neighbour sampling
/// cannot distinguish them; their means differ.
fn stripes_and_planes(place: &Place, folder: &str, count: u8) {
    for i in 0..count {
        place.picture(&format!("{folder}/plane/{i}.png"), 16, |_, _| 235 + i);
        place.picture(&format!("{folder}/stripes/{i}.png"), 16, |x, _| if x % 2 == 1 { 235 + i } else { 0 });
    }
}

fn linear(place: &Place) {
    place.model(&[8, 8, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
}

const LONG: &str = "--epochs 60 --learning-rate 0.02 --batch-size 8";

#[test]
fn predict_resizes_pictures_as_the_training_did() {
    for interpolation in ["", "--interpolation hamming"] {
        let place = Place::new();
        stripes_and_planes(&place, "photos/train", 12);
        stripes_and_planes(&place, "photos/test", 12);
        linear(&place);
        place.succeed(&format!("train m.json --data photos --image-size 8x8 {interpolation} {LONG} --out r"));
        let text = place.succeed("evaluate r");
        assert!(text.contains("(24 right)"), "{text}");
        let text = place.succeed("predict r photos/test --json --top 1");
        assert_eq!(found(&text), [["plane"; 12], ["stripes"; 12]].concat(), "{interpolation}");
    }
}

#[test]
fn a_run_says_how_it_read_pictures() {
    let place = Place::new();
    place.dark_and_bright("photos/train", 3);
    place.dark_and_bright("photos/test", 2);
    place.model(&[6, 5, 1], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    place.succeed("train m.json --data photos --image-size 6x5 --grayscale --interpolation lanczos --epochs 1 --out r");
    let run = place.json("r/run.json");
    assert_eq!((&run["image_size"], &run["color_mode"]), (&json!([6, 5]), &json!("grayscale")));
    assert_eq!((&run["interpolation"], &run["dtype"]), (&json!("lanczos"), &json!("uint8")));
    assert_eq!((&run["classes"], &run["samples"]), (&json!(["dark", "light"]), &json!(6)));
    assert!(place.succeed("evaluate r").starts_with("4 test images"));
    let model = place.json("r/model.json").to_string().replace("[null,6,5,1]", "[null,5,6,1]");
    std::fs::write(place.path("r/model.json"), model).unwrap();
    let error = place.fail("evaluate r");
    assert!(error.contains("image_size 6x5 and color_mode grayscale") && error.contains("[5, 6, 1]"), "{error}");
}

#[test]
fn standardization_is_that_of_the_training_samples_also_where_they_are_gone() {
    let place = Place::new();
    place.dark_and_bright("photos/train", 8);
    place.dark_and_bright("photos/test", 4);
    place.model(&[4, 4, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    for spec in ["featurewise_center,featurewise_std_normalization", "samplewise_center", "zca_whitening"] {
        let arguments = format!("train m.json --data photos --augment {spec} {LONG} --out r");
        place.succeed(&arguments);
        let before = place.succeed("evaluate r");
        std::fs::rename(place.path("photos/train"), place.path("gone")).unwrap();
        std::fs::create_dir_all(place.path("photos/train")).unwrap();
        assert_eq!(place.succeed("evaluate r"), before, "{spec}");
        let predicted = found(&place.succeed("predict r photos/test --json --top 1"));
        let right = predicted.iter().zip([["dark"; 4], ["light"; 4]].concat()).filter(|(a, b)| a == b).count();
        assert!(before.contains(&format!("({right} right)")), "{spec}: {right} in {before}");
        std::fs::remove_dir(place.path("photos/train")).unwrap();
        std::fs::rename(place.path("gone"), place.path("photos/train")).unwrap();
        std::fs::remove_dir_all(place.path("r")).unwrap();
    }
}

#[test]
fn a_picture_that_cannot_be_read_does_not_keep_the_others_from_being_shown() {
    let place = Place::new();
    place.dark_and_bright("photos", 3);
    linear(&place);
    place.succeed(&format!("train m.json --data photos --image-size 8x8 {LONG} --out r"));
    std::fs::write(place.path("photos/dark/damaged.png"), "no image").unwrap();
    std::fs::create_dir(place.path("empty")).unwrap();
    let (status, out, error) =
        place.kiln("predict r photos/dark/0.png none.jpg photos/light empty photos/dark --json --top 1");
    assert_eq!(status, 1);
    assert!(
        error.contains("cannot read none.jpg") && error.contains("damaged.png") && error.contains("in empty"),
        "{error}"
    );
    let classes = ["dark", "none", "light", "light", "light", "dark", "dark", "dark", "none"];
    assert_eq!(found(&out), classes);
    let answers: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(answers[1]["error"].as_str().unwrap().contains("none.jpg"), "{out}");
    let (status, out, _) = place.kiln("predict r none.jpg photos/light/1.png --top 1");
    assert!(status == 1 && out.starts_with("photos/light/1.png\n  light "), "{out}");
}
