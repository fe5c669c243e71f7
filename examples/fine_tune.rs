//! Transfer learning: a network trained on the digits 0 to 4 learns 5 to 9 from 200 images, with frozen convolutions
//! and new dense layers, compared with training from scratch. Plotted to `runs/fine_tune.svg`.
//!
//! `cargo run --release --example fine_tune -- [EPOCHS]` (20 by default).
//!
//! Needs MNIST: `kiln data mnist`.

use epaint_default_fonts::UBUNTU_LIGHT;
use kiln::data::{Dataset, Labels};
use kiln::layers::{Activation, Dense, Layer};
use kiln::optimizers::Adam;
use kiln::{Compile, Device, FeatureCache, Fit, History, Model, data, models};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

const IMAGES: usize = 200;
const CLASSES: usize = 5;

/// The images of the five digits from `first` on, which becomes class 0.
fn digits(all: &Dataset, first: u32) -> Result<Dataset, data::DataError> {
    let labels = all.labels().map(Labels::class_indices).unwrap_or_default();
    let wanted = |&place: &u32| (first..first + CLASSES as u32).contains(&(labels[place as usize] as u32));
    let places: Vec<u32> = (0..all.len() as u32).filter(wanted).collect();
    let classes = places.iter().map(|&place| labels[place as usize] as u32 - first).collect();
    all.take(&places)?.with_labels(Labels::index(classes, CLASSES))
}

fn compiled(mut model: Model) -> kiln::Result<Model> {
    model.compile(&Device::best()?, Compile { optimizer: Adam::default().into(), ..Compile::default() })?;
    Ok(model)
}

fn draw(series: [(&str, &History, RGBColor); 2], epochs: usize) -> Result<(), Box<dyn std::error::Error>> {
    let _ = register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT); // fails only if its bytes are not a font
    std::fs::create_dir_all("runs")?;
    let area = SVGBackend::new("runs/fine_tune.svg", (900, 600)).into_drawing_area();
    area.fill(&WHITE)?;
    let caption = format!("Digits 5 to 9 from {IMAGES} images: accuracy on the test images");
    let mut builder = ChartBuilder::on(&area);
    builder.caption(caption, ("sans-serif", 26)).margin(24).x_label_area_size(56).y_label_area_size(80);
    let mut chart = builder.build_cartesian_2d(1..epochs, 0.4..1.0)?;
    chart.configure_mesh().x_desc("epoch").y_desc("accuracy").label_style(("sans-serif", 18)).draw()?;
    for (name, history, color) in series {
        let points = (1..).zip(history.epochs.iter().filter_map(|logs| logs.get("val_accuracy")));
        let line = chart.draw_series(LineSeries::new(points, color.stroke_width(3)).point_size(4))?;
        line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3)));
    }
    let legend = &mut chart.configure_series_labels();
    legend.position(SeriesLabelPosition::LowerRight).label_font(("sans-serif", 20)).background_style(WHITE).draw()?;
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let epochs = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    let (train, test) = data::mnist(data::folder("mnist")?)?;
    let mut body = compiled(models::lenet([28, 28, 1], CLASSES))?;
    let known = body.fit(&digits(&train, 0)?, Fit { epochs: 2, batch_size: 128, ..Fit::default() })?;
    println!("0 to 4, the images that it learns from: {}", known.epochs[1]);

    let (few, test) = (digits(&train, 5)?.head(IMAGES), digits(&test, 5)?);
    let fit = Fit { epochs, batch_size: 20, validation_data: Some(&test), ..Fit::default() };
    let mut tuned = body.sub_model(body.get_layer("flatten")?.output)?;
    tuned.layers(..)?.set_trainable(false);
    tuned.add(Dense::new(500).activation(Activation::Relu).named("new_fc1"));
    tuned.add(Dense::new(CLASSES).activation(Activation::Softmax).named("new_fc2"));
    let tuned = compiled(tuned)?.fine_tune(&few, FeatureCache::Memory, fit.clone())?;
    let scratch = compiled(models::lenet([28, 28, 1], CLASSES))?.fit(&few, fit)?;

    let last =
        |history: &History| 100.0 * history.epochs.last().and_then(|logs| logs.get("val_accuracy")).unwrap_or(0.0);
    println!("5 to 9: {:.2} % of the test images; from scratch: {:.2} %", last(&tuned), last(&scratch));
    draw([("fine-tuned", &tuned, RGBColor(31, 119, 180)), ("from scratch", &scratch, RGBColor(255, 127, 14))], epochs)
}
