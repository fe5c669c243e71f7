//! `kiln convert`, and commands on whole models in files of Keras.

use crate::common::Place;

/// A trained network in `runs/over`.
fn trained() -> Place {
    let place = Place::new();
    place.copy("over.json");
    place.copy("over.safetensors");
    place.succeed("train over.json --data over.safetensors --epochs 1 --out runs/over");
    place
}

#[test]
fn a_model_goes_through_all_formats_with_the_same_bits() {
    let place = trained();
    let text = place.succeed("convert runs/over m.keras");
    assert!(text.starts_with("m.keras: m with 578 parameters\n") && text.contains("run.json"), "{text}");
    place.succeed("convert m.keras folder");
    place.succeed("convert folder/model.json w.weights.h5");
    place.succeed("convert folder layers.json");
    place.succeed("convert layers.json w.safetensors --weights w.weights.h5");
    place.succeed("convert layers.json again.keras --weights m.keras");
    place.succeed("convert m.keras m.h5");
    place.succeed("convert m.h5 of_h5.safetensors");
    let bytes = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert_eq!(bytes("w.safetensors"), bytes("runs/over/weights.safetensors"));
    assert_eq!(bytes("folder/weights.safetensors"), bytes("runs/over/weights.safetensors"));
    assert_eq!(bytes("of_h5.safetensors"), bytes("runs/over/weights.safetensors"));
    assert_eq!(bytes("again.keras"), bytes("m.keras"));
}

#[test]
fn a_whole_model_in_a_file_is_a_network_of_the_commands() {
    let place = trained();
    place.succeed("convert runs/over m.keras");
    assert_eq!(place.succeed("summary m.keras"), place.succeed("summary runs/over"));
    for model in ["m.keras", "runs/over/model.json"] {
        place.succeed(&format!("predict {model} --input over.safetensors --output y_of_{}.safetensors", model.len()));
    }
    let [one, other] =
        ["y_of_7.safetensors", "y_of_20.safetensors"].map(|name| std::fs::read(place.path(name)).unwrap());
    assert_eq!(one, other);
    place.succeed("train m.keras --data over.safetensors --epochs 1 --out runs/again");
    let loss = "--loss sparse_categorical_crossentropy";
    let text = place.succeed(&format!("evaluate m.keras --data over.safetensors {loss}"));
    assert!(text.contains("60 samples"), "{text}");
}

#[test]
fn an_existing_result_is_only_replaced_if_asked() {
    let place = trained();
    place.succeed("convert runs/over m.keras");
    let before = std::fs::read(place.path("m.keras")).unwrap();
    place.succeed("convert m.keras folder");
    for target in ["m.keras", "folder"] {
        let error = place.fail(&format!("convert m.keras {target}"));
        assert!(error.contains(&format!("{target} exists; choose another name, or pass --overwrite")), "{error}");
    }
    place.succeed("convert runs/over m.keras --overwrite");
    assert_eq!(std::fs::read(place.path("m.keras")).unwrap(), before);
    std::fs::write(place.path("cut.keras"), &before[..before.len() / 2]).unwrap();
    let error = place.fail("convert cut.keras m.keras --overwrite");
    assert!(error.contains("cut.keras: expected a `.keras` file, found a damaged archive"), "{error}");
    assert_eq!(std::fs::read(place.path("m.keras")).unwrap(), before);
    let error = place.fail("convert nothing m2.keras");
    assert!(error.contains("nothing"), "{error}");
}

#[test]
fn the_record_of_a_training_is_not_kept_for_another_model() {
    let place = trained();
    place.succeed("convert runs/over m.keras");
    for overwrite in ["", " --overwrite"] {
        let error = place.fail(&format!("convert m.keras runs/over{overwrite}"));
        assert!(error.contains("runs/over: expected a folder without the record of a training"), "{error}");
        assert!(error.contains("choose another folder, or delete"), "{error}");
    }
    place.succeed("convert runs/over runs/over --overwrite");
    place.succeed("convert runs/over/model.json runs/over --overwrite");
}
