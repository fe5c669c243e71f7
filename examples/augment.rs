//! Writes 64 images that an augmentation gives, side by side, to `runs/augment.png`.
//!
//! `cargo run --release --example augment -- FOLDER` takes the images of a folder, all of one size, and its sub-folders;
//! without a folder, a made-up image.

use std::path::{Path, PathBuf};

use image::{ColorType, ImageError};
use kiln::Device;
use kiln::augmentation::{Augmentation, FillMode};
use kiln::data::{Dataset, Labels};

const ROWS: usize = 8;
const COLUMNS: usize = 8;

/// The images below a folder, by their names.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path
            .extension()
            .is_some_and(|extension| ["jpg", "jpeg", "png"].iter().any(|known| extension == *known))
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// As many images of a folder as there are places, one after the other, and the height and width of each.
fn read(folder: &Path) -> Result<(Vec<u8>, [usize; 2]), Box<dyn std::error::Error>> {
    let files = files(folder)?;
    let step = (files.len() / (ROWS * COLUMNS)).max(1);
    let taken = files.iter().step_by(step).take(ROWS * COLUMNS);
    let images: Vec<_> = taken.map(|path| Ok(image::open(path)?.to_rgb8())).collect::<Result<_, ImageError>>()?;
    let first = images.first().ok_or_else(|| format!("expected images in {}, found none", folder.display()))?;
    let size = [first.height() as usize, first.width() as usize];
    Ok((images.iter().flat_map(|image| image.as_raw().clone()).collect(), size))
}

/// A disc on a chequered ground, brighter to the right and bluer downwards.
fn made_up(size: usize) -> Vec<u8> {
    let pixel = |at: usize| {
        let (y, x) = (at / size, at % size);
        let (down, right) = (y as f64 / size as f64 - 0.4, x as f64 / size as f64 - 0.6);
        if down * down + right * right < 0.06 {
            return [255, 210, 40];
        }
        let dark = if (x / 4 + y / 4) % 2 == 0 { 60 } else { 0 };
        [dark + (x * 190 / size) as u8, dark + 70, dark + (y * 190 / size) as u8]
    };
    (0..size * size).flat_map(pixel).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (values, [height, width]) = match std::env::args().nth(1) {
        Some(folder) => read(Path::new(&folder))?,
        None => (made_up(32), [32, 32]),
    };
    let labels = Labels::index(vec![0; values.len() / (height * width * 3)], 1);
    let data = Dataset::from_u8([height, width, 3], values, labels)?;
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
        cutout: height as u32 / 4,
        ..Augmentation::default()
    };
    let device = Device::best()?;
    let sheet = augmentation.preview(&device, &data, [ROWS, COLUMNS], 96usize.div_ceil(height), 1)?;
    std::fs::create_dir_all("runs")?;
    let size = (sheet.width as u32, sheet.height as u32);
    image::save_buffer("runs/augment.png", &sheet.pixels, size.0, size.1, ColorType::Rgb8)?;
    println!("{} x {} images on {}: runs/augment.png", ROWS, COLUMNS, device.info().name);
    Ok(())
}
