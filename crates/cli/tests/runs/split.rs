//! A folder of images for each class, without `train` and `test`.

use serde_json::json;

use crate::common::{Place, figure, printed};

fn place() -> Place {
    let place = Place::new();
    place.dark_and_bright("photos", 9);
    place.model(&[4, 4, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    place
}

#[test]
fn the_last_share_of_the_mixed_files_is_validated_with_and_evaluated_on() {
    let place = place();
    let text = place.succeed("train m.json --data photos --validation-split 0.3 --epochs 3 --out r");
    // Keras: int(18 * 0.3) = 5.
    assert!(text.contains("13 samples to train, 5 to validate\n"), "{text}");
    let text = place.succeed("evaluate r");
    assert!(text.starts_with("5 validation images of "), "{text}");
    let history = place.json("r/history.json");
    let last = &history["epochs"][2];
    let figures = [("loss", "val_loss"), ("accuracy", "val_accuracy")];
    for (name, validated) in figures {
        assert!(printed(figure(&text, name), last[validated].as_f64().unwrap()), "{name}: {text} {last}");
    }
    assert_eq!(
        place.succeed("evaluate r --data photos"),
        text.replace(&place.path("photos").display().to_string(), "photos")
    );

    place.succeed("augment-preview --data photos --validation-split 0.3 --rows 2 --out a.png");
    assert!(place.path("a.png").is_file());
}

#[test]
fn all_images_of_another_folder_count_unless_a_share_is_asked_for() {
    let place = place();
    place.dark_and_bright("others", 6);
    place.succeed("train m.json --data photos --epochs 1 --out r");
    assert!(place.succeed("evaluate r --data others").starts_with("12 images of others on "));
    let text = place.succeed("evaluate r --data others --validation-split 0.25");
    assert!(text.starts_with("3 validation images of others on "), "{text}");
}

#[test]
fn a_folder_that_has_changed_is_not_evaluated_in_part() {
    let place = place();
    place.succeed("train m.json --data photos --epochs 1 --out r");
    place.picture("photos/dark/more.png", 4, |_, _| 9);
    let error = place.fail("evaluate r");
    assert!(error.contains("trained with 18 samples") && error.contains("found 19 samples"), "{error}");
}

#[test]
fn folders_that_hold_parts_are_not_taken_for_classes() {
    let place = place();
    place.dark_and_bright("parts/train", 2);
    place.dark_and_bright("parts/validation", 2);
    let error = place.fail("train m.json --data parts --out r");
    assert!(error.contains("folders train and test") && error.ends_with("found train, validation\n"), "{error}");
}
