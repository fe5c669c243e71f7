//! Classes are matched by name.

use serde_json::json;

use crate::common::{Place, figure};

/// Black, grey and white pictures, a folder per class.
fn write(place: &Place, folder: &str, classes: [Option<&str>; 3]) {
    for (class, level) in classes.into_iter().zip([0, 120, 240]) {
        for i in 0..if class.is_some() { 4 } else { 0 } {
            place.picture(&format!("{folder}/{}/{i}.png", class.unwrap()), 4, |x, y| level + i + (x + y) as u8);
        }
    }
}

fn trained() -> Place {
    let place = Place::new();
    let names = ["a", "b", "c"].map(Some);
    write(&place, "photos/train", names);
    write(&place, "photos/test", names);
    let layers = [
        ("Flatten", json!({})),
        ("Dense", json!({"units": 16, "activation": "relu"})),
        ("Dense", json!({"units": 3, "activation": "softmax"})),
    ];
    place.model(&[4, 4, 3], &layers);
    place.succeed("train m.json --data photos --epochs 80 --learning-rate 0.01 --batch-size 4 --out r");
    assert_eq!(figure(&place.succeed("evaluate r"), "accuracy"), 1.0);
    place
}

#[test]
fn a_class_that_is_missing_does_not_move_the_others() {
    let place = trained();
    write(&place, "less/test", [None, Some("b"), Some("c")]);
    write(&place, "less/train", [None, Some("b"), Some("c")]);
    for data in ["less", "less/test"] {
        let text = place.succeed(&format!("evaluate r --data {data}"));
        assert_eq!(figure(&text, "accuracy"), 1.0, "{text}");
        assert!(text.contains("images of a\n") && text.contains("(8 right)"), "{text}");
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(rows.iter().any(|row| row.starts_with(&["1", "b", "0", "4", "0"])), "{text}");
    }
}

#[test]
fn a_class_with_another_name_is_refused_and_both_are_named() {
    let place = trained();
    write(&place, "other/test", [Some("ape"), Some("b"), Some("c")]);
    write(&place, "other/train", [Some("ape"), Some("b"), Some("c")]);
    let error = place.fail("evaluate r --data other");
    let parts = ["run.json: trained on the classes a, b, c", "other: found the classes ape, b, c"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");

    let before = std::fs::read(place.path("r/weights.safetensors")).unwrap();
    std::fs::rename(place.path("photos"), place.path("gone")).unwrap();
    std::fs::rename(place.path("other"), place.path("photos")).unwrap();
    let resume = "train m.json --data photos --epochs 81 --learning-rate 0.01 --batch-size 4 --resume --out r";
    let error = place.fail(resume);
    assert!(error.contains("a, b, c") && error.contains("ape"), "{error}");
    assert_eq!(std::fs::read(place.path("r/weights.safetensors")).unwrap(), before);
}
