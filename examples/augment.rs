//! Writes a sheet of 64 augmented images to `runs/augment.png`.
//!
//! `cargo run --release --example augment -- FOLDER` augments images of equal size from the folder's subfolders, one
//! per class; without a folder, a made-up image.

use image::ColorType;
use kiln::Device;
use kiln::augmentation::{Augmentation, FillMode};
use kiln::data::{Dataset, ImageOptions, Labels, image_dataset_from_directory};

const ROWS: usize = 8;
const COLUMNS: usize = 8;
/// The minimum width of an image on the sheet, in pixels.
const SIDE: usize = 96;

/// A disc on a checkered background, brighter to the right and bluer downwards.
fn made_up() -> kiln::Result<Dataset> {
    let size = 32;
    let pixel = |at: usize| {
        let (y, x) = (at / size, at % size);
        let dark = if (x / 4 + y / 4) % 2 == 0 { 60 } else { 0 };
        let disc = (2 * y).abs_diff(26).pow(2) + (2 * x).abs_diff(40).pow(2) < 256;
        if disc { [255, 210, 40] } else { [dark + 6 * x as u8, dark + 70, dark + 6 * y as u8] }
    };
    let values = (0..size * size).flat_map(pixel).collect();
    Ok(Dataset::from_u8([size, size, 3], values, Labels::index(vec![0], 1))?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = match std::env::args().nth(1) {
        Some(folder) => image_dataset_from_directory(folder, ImageOptions::default())?,
        None => made_up()?,
    };
    let augmentation = Augmentation {
        rotation_range: 15.0,
        width_shift_range: 0.1.into(),
        height_shift_range: 0.1.into(),
        shear_range: 10.0,
        zoom_range: 0.2.into(),
        channel_shift_range: 30.0,
        brightness_range: Some([0.6, 1.4]),
        horizontal_flip: true,
        fill_mode: FillMode::Reflect,
        cutout: 8,
        ..Augmentation::default()
    };
    let device = Device::best()?;
    let zoom = SIDE.div_ceil(data.sample_shape()[0]);
    let sheet = augmentation.preview(&device, &data, [ROWS, COLUMNS], zoom, 1)?;
    std::fs::create_dir_all("runs")?;
    let (width, height) = (sheet.width as u32, sheet.height as u32);
    image::save_buffer("runs/augment.png", &sheet.pixels, width, height, ColorType::Rgb8)?;
    println!("{} images on {}: runs/augment.png", ROWS * COLUMNS, device.info().name);
    Ok(())
}
