//! `kiln evaluate` computes the loss and metrics of the training.

use serde_json::json;

use crate::common::{Place, figure, printed};

/// `-mean(t log(p) + (1 - t) log(1 - p))`
fn binary_crossentropy(p: &[f64], t: &[f64]) -> f64 {
    p.iter().zip(t).map(|(p, t)| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())).sum::<f64>() / p.len() as f64
}

/// The binary accuracy at a threshold.
fn hits(p: &[f64], t: &[f64], threshold: f64) -> f64 {
    p.iter().zip(t).filter(|(p, t)| (**p > threshold) == (**t == 1.0)).count() as f64 / p.len() as f64
}

fn sigmoid(x: &f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

const LONG: &str = "--epochs 60 --learning-rate 0.05 --batch-size 8";

#[test]
fn one_output_with_binary_crossentropy_has_the_loss_and_accuracy_of_its_probabilities() {
    for file in ["bcef.safetensors", "bce.safetensors"] {
        let place = Place::new();
        place.copy("bce.json");
        place.copy(file);
        // The loss is optional.
        place.succeed(&format!("train bce.json --data {file} --out r {LONG}"));
        assert_eq!(place.json("r/run.json")["loss"], "binary_crossentropy");
        place.succeed(&format!("predict r --input {file} --output p.safetensors"));
        let (p, t) = (place.tensor("p.safetensors", "y"), place.tensor(file, "y"));

        let text = place.succeed("evaluate r");
        let (loss, accuracy) = (binary_crossentropy(&p, &t), hits(&p, &t, 0.5));
        assert!(printed(figure(&text, "loss"), loss) && printed(figure(&text, "accuracy"), accuracy), "{text} {loss}");
        assert!(text.contains(&format!("({} right)", (accuracy * 32.0).round())), "{text}");
        let ones = p.iter().zip(&t).filter(|(p, t)| **p > 0.5 && **t == 1.0).count();
        let row = text.lines().find(|line| line.starts_with("1 ")).unwrap();
        assert_eq!(row.split_whitespace().nth(2), Some(&*ones.to_string()), "{text}");
    }
}

#[test]
fn logits_are_taken_for_logits() {
    let place = Place::new();
    place.copy("bcef.safetensors");
    place.model(&[4], &[("Dense", json!({"units": 1}))]);
    place.succeed(&format!(
        "train m.json --data bcef.safetensors --loss binary_crossentropy --from-logits {LONG} --out r"
    ));
    place.succeed("predict r --input bcef.safetensors --output z.safetensors");
    let (z, t) = (place.tensor("z.safetensors", "y"), place.tensor("bcef.safetensors", "y"));
    let p: Vec<f64> = z.iter().map(sigmoid).collect();
    let text = place.succeed("evaluate r");
    assert!(printed(figure(&text, "loss"), binary_crossentropy(&p, &t)), "{text}");
    assert!(printed(figure(&text, "accuracy"), hits(&z, &t, 0.0)), "{text}");
    assert_eq!(place.json("r/run.json")["from_logits"], true);
}

#[test]
fn labels_are_smoothed_in_evaluations_as_in_the_training() {
    let place = Place::new();
    place.copy("bce.json");
    place.copy("bcef.safetensors");
    place.succeed("train bce.json --data bcef.safetensors --label-smoothing 0.25 --epochs 2 --out r");
    assert_eq!(place.json("r/run.json")["label_smoothing"], 0.25);
    place.succeed("predict r --input bcef.safetensors --output p.safetensors");
    let (p, t) = (place.tensor("p.safetensors", "y"), place.tensor("bcef.safetensors", "y"));
    let smoothed: Vec<f64> = t.iter().map(|t| 0.75 * t + 0.125).collect();
    let text = place.succeed("evaluate r");
    assert!(printed(figure(&text, "loss"), binary_crossentropy(&p, &smoothed)), "{text}");
    let error = place.fail("train bce.json --data bcef.safetensors --loss mse --label-smoothing 0.25 --out s");
    assert!(error.contains("mean_squared_error: unknown field `label_smoothing`"), "{error}");
}

#[test]
fn quantities_have_their_loss_and_no_classes() {
    let place = Place::new();
    let x: Vec<f32> = (0..40).map(|i| i as f32 / 20.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().flat_map(|x| [3.0 * x + 1.0, x * x, 0.5 - x]).collect();
    place.write_xy("xy.safetensors", (&[40, 1], &x), (&[40, 3], &y));
    place.model(&[1], &[("Dense", json!({"units": 8, "activation": "tanh"})), ("Dense", json!({"units": 3}))]);
    let error = place.fail("train m.json --data xy.safetensors --out r");
    assert!(error.contains("--loss mean_squared_error"), "{error}");
    let metrics = "--metrics mean_absolute_error,mean_squared_error";
    place
        .succeed(&format!("train m.json --data xy.safetensors --loss mean_squared_error {metrics} --epochs 5 --out r"));
    place.succeed("predict r --input xy.safetensors --output p.safetensors");
    let differences: Vec<f64> =
        place.tensor("p.safetensors", "y").iter().zip(&y).map(|(p, t)| p - f64::from(*t)).collect();
    let mean = |of: fn(&f64) -> f64| differences.iter().map(of).sum::<f64>() / differences.len() as f64;
    let text = place.succeed("evaluate r");
    assert!(printed(figure(&text, "loss"), mean(|d| d * d)), "{text}");
    assert!(printed(figure(&text, "mean_absolute_error"), mean(|d| d.abs())), "{text}");
    assert!(!text.contains("label") && !text.contains("right"), "no table of classes: {text}");
}

#[test]
fn labels_that_do_not_exclude_each_other_have_binary_accuracy() {
    let place = Place::new();
    let x: Vec<f32> = (0..60).map(|i| ((i * 37) % 60) as f32 / 30.0 - 1.0).collect();
    let y: Vec<f32> = x.iter().flat_map(|&x| [f32::from(x > 0.0), f32::from(x > -0.5), f32::from(x < 0.3)]).collect();
    place.write_xy("xy.safetensors", (&[60, 1], &x), (&[60, 3], &y));
    place.model(&[1], &[("Dense", json!({"units": 3, "activation": "sigmoid"}))]);
    place.succeed("train m.json --data xy.safetensors --epochs 20 --learning-rate 0.1 --batch-size 8 --out r");
    let run = place.json("r/run.json");
    assert_eq!((&run["loss"], &run["metrics"]), (&json!("binary_crossentropy"), &json!(["binary_accuracy"])));
    place.succeed("predict r --input xy.safetensors --output p.safetensors");
    let (p, t) = (place.tensor("p.safetensors", "y"), place.tensor("xy.safetensors", "y"));
    let text = place.succeed("evaluate r");
    assert!(printed(figure(&text, "loss"), binary_crossentropy(&p, &t)), "{text}");
    assert!(printed(figure(&text, "binary_accuracy"), hits(&p, &t, 0.5)), "{text}");
    assert!(!text.contains("label"), "no table of classes: {text}");
}

#[test]
fn a_model_without_a_run_needs_data_and_a_loss() {
    let place = Place::new();
    place.copy("bce.json");
    place.copy("bcef.safetensors");
    place.succeed(&format!("train bce.json --data bcef.safetensors --out r {LONG}"));
    let known = place.succeed("evaluate r");
    std::fs::remove_file(place.path("r/run.json")).unwrap();
    let error = place.fail("evaluate r");
    assert!(error.contains("run.json") && error.contains("--data and --loss"), "{error}");
    let text = place.succeed("evaluate r --data bcef.safetensors --loss binary_crossentropy");
    assert_eq!(figure(&text, "loss"), figure(&known, "loss"));
    assert_eq!(figure(&text, "accuracy"), figure(&known, "accuracy"));
}

#[test]
fn what_contradicts_the_run_is_refused_and_both_are_named() {
    let place = Place::new();
    place.copy("bce.json");
    place.copy("bcef.safetensors");
    place.succeed("train bce.json --data bcef.safetensors --epochs 1 --out r");
    for (arguments, trained, found) in [
        ("evaluate r --loss mean_squared_error", "loss binary_crossentropy", "--loss mean_squared_error"),
        ("evaluate r --from-logits", "from_logits false", "--from-logits"),
        ("evaluate r --validation-split 0.5", "validation_split 0", "--validation-split 0.5"),
        ("predict r x.png --interpolation box", "interpolation bilinear", "--interpolation box"),
        ("predict r x.png --preprocessing tf", "no preprocessing", "--preprocessing tf"),
    ] {
        let error = place.fail(arguments);
        let parts = ["run.json: trained with ", trained, ", found ", found];
        assert!(parts.iter().all(|part| error.contains(part)), "{arguments}: {error}");
    }
    let mut run = place.json("r/run.json");
    run.as_object_mut().unwrap().remove("loss");
    std::fs::write(place.path("r/run.json"), run.to_string()).unwrap();
    assert!(place.fail("evaluate r").contains("run.json: missing field `loss`"));
}
