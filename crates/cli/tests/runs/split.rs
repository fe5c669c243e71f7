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

    place.succeed("augment-preview --data photos --validation-split 0.3 --rows 2 --out a.png --augment");
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

/// Copies a folder of folders of files.
fn copy(place: &Place, from: &str, to: &str) {
    for class in std::fs::read_dir(place.path(from)).unwrap().map(|entry| entry.unwrap()) {
        let into = place.path(to).join(class.file_name());
        std::fs::create_dir_all(&into).unwrap();
        for file in std::fs::read_dir(class.path()).unwrap().map(|entry| entry.unwrap()) {
            std::fs::copy(file.path(), into.join(file.file_name())).unwrap();
        }
    }
}

#[test]
fn the_data_of_a_run_are_known_by_every_path_and_as_a_copy() {
    let place = place();
    place.succeed("train m.json --data photos --validation-split 0.3 --epochs 1 --out r");
    copy(&place, "photos", "copy");
    let absolute = place.path("photos").display().to_string();
    let name = place.path("").file_name().unwrap().to_string_lossy().into_owned();
    for written in
        ["photos/", "./photos", "r/../photos", &format!("../{name}/photos"), &format!("{absolute}//"), "copy"]
    {
        let text = place.succeed(&format!("evaluate r --data {written}"));
        assert!(text.starts_with("5 validation images of "), "{written}: {text}");
        let error = place.fail(&format!("evaluate r --data {written} --validation-split 0.5"));
        assert!(error.contains("validation_split 0.3"), "{written}: {error}");
    }
    place.picture("copy/dark/0.png", 4, |_, _| 77);
    assert!(place.succeed("evaluate r --data copy").starts_with("18 images of copy on "));
}

#[test]
fn a_file_that_is_moved_holds_the_data_of_the_run() {
    let place = Place::new();
    let x: Vec<f32> = (0..20).map(|i| i as f32 / 20.0).collect();
    let y: Vec<f32> = (0..20).flat_map(|i| if i % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
    place.write_xy("xy.safetensors", (&[20, 1], &x), (&[20, 2], &y));
    place.model(&[1], &[("Dense", json!({"units": 2, "activation": "softmax"}))]);
    place.succeed("train m.json --data xy.safetensors --validation-split 0.25 --epochs 1 --out r");
    std::fs::rename(place.path("xy.safetensors"), place.path("moved.safetensors")).unwrap();
    let text = place.succeed("evaluate r --data moved.safetensors");
    assert!(text.starts_with("5 validation samples of moved.safetensors on "), "{text}");
}

#[test]
fn pictures_of_another_size_than_the_network_takes_are_refused_before_they_are_decoded() {
    let place = place();
    std::fs::write(place.path("photos/dark/damaged.png"), "no image").unwrap();
    let error = place.fail("train m.json --data photos --image-size 8x8 --out r");
    assert!(error.contains("expects samples [4, 4, 3], the data set has samples [8, 8, 3]"), "{error}");
}
