//! Shared by these tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder in which commands run.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs a command of space-separated arguments; returns the exit status, the standard output and the standard
    /// error.
    pub fn kiln(&self, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).env("KILN_DEVICE", "cpu");
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The standard output of a command that succeeds.
    pub fn succeed(&self, arguments: &str) -> String {
        let (status, out, error) = self.kiln(arguments);
        assert_eq!(status, 0, "{arguments}: {out}{error}");
        out
    }

    /// The standard error of a command that fails.
    pub fn fail(&self, arguments: &str) -> String {
        let (status, out, error) = self.kiln(arguments);
        assert_eq!(status, 1, "{arguments}: {out}{error}");
        error
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// A file of the cases beside the tests.
    pub fn copy(&self, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name);
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::copy(from, self.path(name)).unwrap();
    }

    /// A chain of layers in `m.json`.
    pub fn model(&self, input: &[usize], layers: &[(&str, Value)]) {
        let shape: Vec<Option<usize>> = std::iter::once(None).chain(input.iter().copied().map(Some)).collect();
        let input = json!({"class_name": "InputLayer", "config": {"batch_shape": shape, "name": "in"}});
        let named = layers.iter().enumerate().map(|(i, (class, config))| {
            let mut config = config.clone();
            config["name"] = format!("layer{i}").into();
            json!({"class_name": class, "config": config})
        });
        let layers: Vec<Value> = std::iter::once(input).chain(named).collect();
        let model = json!({"class_name": "Sequential", "config": {"name": "m", "layers": layers}});
        std::fs::write(self.path("m.json"), model.to_string()).unwrap();
    }

    /// A square picture.
    pub fn picture(&self, name: &str, side: u32, pixel: impl Fn(u32, u32) -> u8) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        RgbImage::from_fn(side, side, |x, y| Rgb([pixel(x, y); 3])).save(self.path(name)).unwrap();
    }

    /// Dark and bright pictures of 4 x 4, a folder per class.
    pub fn dark_and_bright(&self, folder: &str, count: u8) {
        for i in 0..count {
            self.picture(&format!("{folder}/dark/{i}.png"), 4, |x, y| 10 + i + (x + y) as u8);
            self.picture(&format!("{folder}/light/{i}.png"), 4, |x, y| 200 + i + (x * y) as u8);
        }
    }

    /// A file of samples `[n, …]`.
    pub fn write_x(&self, name: &str, shape: &[usize], dtype: Dtype, bytes: &[u8]) {
        let x = TensorView::new(dtype, shape.to_vec(), bytes).unwrap();
        std::fs::write(self.path(name), safetensors::serialize([("x", x)], None).unwrap()).unwrap();
    }

    /// A file of samples and labels as floats.
    pub fn write_xy(&self, name: &str, x: (&[usize], &[f32]), y: (&[usize], &[f32])) {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (x_bytes, y_bytes) = (bytes(x.1), bytes(y.1));
        let x = TensorView::new(Dtype::F32, x.0.to_vec(), &x_bytes).unwrap();
        let y = TensorView::new(Dtype::F32, y.0.to_vec(), &y_bytes).unwrap();
        std::fs::write(self.path(name), safetensors::serialize([("x", x), ("y", y)], None).unwrap()).unwrap();
    }

    /// The values of a tensor in a file.
    pub fn tensor(&self, file: &str, name: &str) -> Vec<f64> {
        let bytes = std::fs::read(self.path(file)).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let words = tensor.data().chunks_exact(4).map(|word| <[u8; 4]>::try_from(word).unwrap());
        match tensor.dtype() {
            Dtype::F32 => words.map(|word| f32::from_le_bytes(word).into()).collect(),
            Dtype::I32 => words.map(|word| i32::from_le_bytes(word).into()).collect(),
            Dtype::U8 => tensor.data().iter().map(|&byte| byte.into()).collect(),
            other => panic!("{other}"),
        }
    }
}

/// A figure of `kiln evaluate`: `loss: 0.1234`.
pub fn figure(text: &str, name: &str) -> f64 {
    let (_, rest) = text.split_once(&format!("{name}: ")).unwrap_or_else(|| panic!("{name} in {text}"));
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether a figure printed with four decimals equals `expected`.
pub fn printed(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-4
}

/// The class that `kiln predict --json --top 1` found for each picture.
pub fn found(text: &str) -> Vec<String> {
    let answers: Value = serde_json::from_str(text).unwrap();
    let class = |answer: &Value| answer["classes"][0]["class"].as_str().unwrap_or("none").to_owned();
    answers.as_array().unwrap().iter().map(class).collect()
}
