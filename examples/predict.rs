//! Classifies pictures with a trained network.
//!
//! `cargo run --release --example predict -- RUN PICTURE …`, where RUN is an output folder of `kiln train`.
//!
//! Needs a trained network: `kiln train cifar10_simple`.

use kiln::data::{Dataset, Labels, LoadImg, load_img};
use kiln::serde_json::{self, Value};
use kiln::{Device, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [run, pictures @ ..] = &arguments[..] else { return Err("expected: RUN PICTURE …".into()) };
    let mut model = Model::load(run)?;
    model.to_device(&Device::best()?)?;
    let Some([height, width, 3]) = model.input_shape().dims() else {
        return Err(format!("expected a network for images [height, width, 3], found {}", model.input_shape()).into());
    };

    let trained: Value = serde_json::from_str(&std::fs::read_to_string(format!("{run}/run.json"))?)?;
    let interpolation = trained["interpolation"].as_str().unwrap_or_default().parse()?;
    let rule = [0, 1].map(|at| trained["rescale"][at].as_f64().unwrap_or(f64::NAN) as f32);

    let options = LoadImg { target_size: Some([height, width]), interpolation, ..LoadImg::default() };
    let mut values = Vec::new();
    for picture in pictures {
        values.extend(load_img(picture, &options)?.values);
    }
    let labels = Labels::index(vec![0; pictures.len()], 1); // not used
    let data = Dataset::from_u8([height, width, 3], values, labels)?.rescaled(rule[0], rule[1]); // as in training
    let predictions = model.predict(&data)?;
    for ((picture, class), row) in pictures.iter().zip(predictions.classes()).zip(predictions.rows()) {
        println!("{picture}: class {class} with {:.1} %", 100.0 * row[class]);
    }
    Ok(())
}
