//! Test accuracy by the number of training samples: a network of dense layers and LeNet on parts of MNIST, plotted to
//! `runs/data_size.svg`.
//!
//! `cargo run --release --example data_size -- [EPOCHS]` (10 by default).
//!
//! Needs MNIST: `kiln data mnist`.

use epaint_default_fonts::UBUNTU_LIGHT;
use kiln::data::Dataset;
use kiln::layers::{Activation, Dense, Dropout, Flatten};
use kiln::losses::SparseCategoricalCrossentropy;
use kiln::optimizers::Adam;
use kiln::{Compile, Device, Fit, Model, Sequential, data, models};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

const SIZES: [usize; 5] = [600, 1_800, 3_000, 5_900, 60_000];
const SERIES: [(&str, RGBColor); 2] = [("dense layers", RGBColor(255, 127, 14)), ("LeNet", RGBColor(31, 119, 180))];

fn mlp() -> Model {
    let mut model = Sequential::new([28, 28, 1]).with_name("mlp");
    model.add(Flatten);
    for _ in 0..2 {
        model.add(Dense::new(128).activation(Activation::Relu)).add(Dropout::new(0.3));
    }
    model.add(Dense::new(10).activation(Activation::Softmax));
    model
}

fn accuracy(mut model: Model, train: &Dataset, test: &Dataset, epochs: usize) -> kiln::Result<f64> {
    let (optimizer, loss) = (Adam::default().into(), SparseCategoricalCrossentropy::default().into());
    model.compile(&Device::best()?, Compile { optimizer, loss, ..Default::default() })?;
    model.fit(train, Fit { epochs, batch_size: 128, ..Default::default() })?;
    let score = model.evaluate(test)?;
    println!("{} with {} samples: {score}", model.name(), train.len());
    Ok(score.accuracy().unwrap_or_default())
}

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, found: &[[f64; 2]]) -> Result<(), Box<dyn std::error::Error>> {
    let font = |size: u32| ("sans-serif", size);
    let lowest = found.iter().flatten().fold(1.0f64, |least, &value| least.min(value));
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption("Test accuracy on MNIST by the number of training samples", font(26))
        .margin(24)
        .x_label_area_size(56)
        .y_label_area_size(80)
        .build_cartesian_2d((500f64..72_000f64).log_scale(), lowest - 0.02..1.005)?;
    let label = |x: &f64| format!("{x:.0}");
    let mesh = &mut chart.configure_mesh();
    mesh.x_desc("samples").y_desc("accuracy").x_label_formatter(&label).label_style(font(18)).draw()?;
    for (series, (name, color)) in SERIES.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = SIZES.iter().zip(found).map(|(&size, row)| (size as f64, row[series])).collect();
        let line = chart.draw_series(LineSeries::new(points, color.stroke_width(3)).point_size(5))?;
        line.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3)));
    }
    let legend = &mut chart.configure_series_labels();
    legend.position(SeriesLabelPosition::LowerRight).label_font(font(20)).background_style(WHITE).draw()?;
    Ok(area.present()?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let epochs = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let (train, test) = data::mnist(data::folder("mnist")?)?;
    let mut found = Vec::new();
    for size in SIZES {
        let part = train.head(size);
        found.push([
            accuracy(mlp(), &part, &test, epochs)?,
            accuracy(models::lenet([28, 28, 1], 10), &part, &test, epochs)?,
        ]);
    }
    std::fs::create_dir_all("runs")?;
    let _ = register_font("sans-serif", FontStyle::Normal, UBUNTU_LIGHT); // fails only if its bytes are not a font
    draw(&SVGBackend::new("runs/data_size.svg", (900, 600)).into_drawing_area(), &found)
}
