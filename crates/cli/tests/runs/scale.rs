//! Values are scaled once, as in training.

use safetensors::Dtype;
use serde_json::json;

use crate::common::{Place, figure, found};

const LINEAR: &str = "--epochs 40 --learning-rate 0.02 --batch-size 8";

#[test]
fn bytes_of_a_file_are_seen_as_those_of_the_folder_that_was_trained_on() {
    let place = Place::new();
    for name in ["m.json", "train.safetensors", "test.safetensors"] {
        place.copy(&format!("u8set/{name}"));
    }
    let text = place.succeed(&format!("train u8set/m.json --data u8set {LINEAR} --out r"));
    assert!(text.contains("bytes go in as 0 to 1 (times 1/255)\n"), "{text}");
    let (folder, file) = (place.succeed("evaluate r"), place.succeed("evaluate r --data u8set/test.safetensors"));
    assert_eq!((figure(&folder, "accuracy"), figure(&file, "accuracy")), (1.0, 1.0));
    assert_eq!(figure(&folder, "loss"), figure(&file, "loss"));

    place.succeed("predict r --input u8set/test.safetensors --output y.safetensors");
    let labels = place.tensor("u8set/test.safetensors", "y");
    let probabilities = place.tensor("y.safetensors", "y");
    let right = probabilities.chunks(2).zip(&labels).filter(|(p, t)| (p[1] > p[0]) == (**t == 1.0));
    assert_eq!(right.count(), 60);

    // A training file is not scaled, and then neither is the folder.
    let text = place.succeed("train u8set/m.json --data u8set/train.safetensors --epochs 2 --out s");
    assert!(text.contains("bytes go in as 0 to 255\n"), "{text}");
    let losses = ["u8set", "u8set/test.safetensors"]
        .map(|data| figure(&place.succeed(&format!("evaluate s --data {data}")), "loss"));
    assert_eq!(losses[0], losses[1]);
}

#[test]
fn a_model_that_rescales_its_input_sees_pictures_as_0_to_255() {
    let place = Place::new();
    place.dark_and_bright("photos/train", 8);
    place.dark_and_bright("photos/test", 4);
    let layers = [
        ("Rescaling", json!({"scale": 1.0 / 255.0})),
        ("Flatten", json!({})),
        ("Dense", json!({"units": 2, "activation": "softmax"})),
    ];
    place.model(&[4, 4, 3], &layers);
    let text = place.succeed(&format!("train m.json --data photos {LINEAR} --out r"));
    assert!(text.contains("bytes go in as 0 to 255; the model's layer layer0 scales them\n"), "{text}");
    assert_eq!(place.json("r/run.json")["rescale"], json!([1.0, 0.0]));
    assert_eq!(figure(&place.succeed("evaluate r"), "accuracy"), 1.0);

    // The same pixels as unscaled floats from 0 to 255 have the same probabilities.
    let x: Vec<u8> = (0..16)
        .flat_map(|at| [10 + (at % 4 + at / 4) as u8; 3])
        .flat_map(|value| f32::from(value).to_le_bytes())
        .collect();
    place.write_x("x.safetensors", &[1, 4, 4, 3], Dtype::F32, &x);
    let picture = "photos/test/dark/0.png";
    std::fs::create_dir(place.path("bare")).unwrap();
    for file in ["model.json", "weights.safetensors"] {
        std::fs::copy(place.path("r").join(file), place.path("bare").join(file)).unwrap();
    }
    for model in ["r", "bare"] {
        place.succeed(&format!("predict {model} --input x.safetensors --output y.safetensors"));
        let dark = place.tensor("y.safetensors", "y")[0];
        let text = place.succeed(&format!("predict {model} {picture} --json"));
        let answers: serde_json::Value = serde_json::from_str(&text).unwrap();
        let class = if model == "r" { "dark" } else { "0" };
        assert_eq!(answers[0]["classes"][0]["class"], class, "{text}");
        assert_eq!(answers[0]["classes"][0]["probability"].as_f64().unwrap() as f32, dark as f32, "{text}");
        // Scaled twice, all pictures would be almost black.
        let twice = place.succeed(&format!("predict {model} photos/test/light/0.png --rescale 1/255 --json --top 1"));
        assert_ne!(
            found(&twice),
            found(&place.succeed(&format!("predict {model} photos/test/light/0.png --json --top 1")))
        );
    }
}

#[test]
fn another_scale_is_written_down_and_obeyed() {
    let place = Place::new();
    place.dark_and_bright("photos/train", 8);
    place.dark_and_bright("photos/test", 4);
    place.model(&[4, 4, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    let text = place.succeed(&format!("train m.json --data photos --rescale 1/127.5,-1 {LINEAR} --out r"));
    assert!(text.contains("bytes go in as -1 to 1 (times 0.007843138,-1)\n"), "{text}");
    assert_eq!(figure(&place.succeed("evaluate r"), "accuracy"), 1.0);
    assert_eq!(found(&place.succeed("predict r photos/test --json --top 1")), [["dark"; 4], ["light"; 4]].concat());

    let spec = "rescale=0.1";
    let (status, _, error) = place.kiln(&format!("train m.json --data photos --rescale 1 --augment {spec} --out s"));
    assert!(status == 2 && error.contains("--rescale") && error.contains("--augment"), "{error}");
}

#[test]
fn pictures_for_a_run_of_numbers_need_a_scale() {
    let place = Place::new();
    place.dark_and_bright("photos", 2);
    let x: Vec<f32> = (0..20).flat_map(|i| vec![if i % 2 == 0 { 0.05 } else { 0.8 }; 48]).collect();
    let y: Vec<f32> = (0..20).flat_map(|i| if i % 2 == 0 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
    place.write_xy("xy.safetensors", (&[20, 4, 4, 3], &x), (&[20, 2], &y));
    place.model(&[4, 4, 3], &[("Flatten", json!({})), ("Dense", json!({"units": 2, "activation": "softmax"}))]);
    place.succeed(&format!("train m.json --data xy.safetensors {LINEAR} --out r"));
    for arguments in ["predict r photos", "evaluate r --data photos"] {
        let error = place.fail(arguments);
        assert!(error.contains("trained on f32 values, found bytes") && error.contains("--rescale 1/255"), "{error}");
    }
    let text = place.succeed("predict r photos --rescale 1/255 --json --top 1");
    assert_eq!(found(&text), ["0", "0", "1", "1"]);
    assert_eq!(figure(&place.succeed("evaluate r --data photos --rescale 1/255"), "accuracy"), 1.0);
}
