//! The options for images in folders.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::data::{ColorMode, Corrupt, DataError, Dataset, ImageOptions, Interpolation, image_dataset_from_directory};
use kiln::graph::Shape;

use crate::commands::run::{Rescale, Run};
use crate::error::{Error, chain};

/// The options for images in folders.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Images {
    /// Resize images in folders to this height and width, for example 150x150. By default, all must have the same size.
    #[arg(long, value_parser = size, value_name = "HxW")]
    image_size: Option<[usize; 2]>,
    /// The interpolation of resized images: nearest, bilinear, bicubic, lanczos, box or hamming [default: bilinear].
    #[arg(long, value_name = "NAME")]
    interpolation: Option<Interpolation>,
    /// Read images in folders as grayscale, with one channel.
    #[arg(long)]
    grayscale: bool,
    /// Skip images that cannot be decoded, with a warning, instead of failing.
    #[arg(long)]
    skip_corrupt: bool,
    /// Decode images in folders on demand, again in each epoch, instead of keeping them in memory.
    #[arg(long)]
    stream: bool,
}

/// Height and width in pixels: `150x150`.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=65_535).contains(side));
    let sides = text.split_once('x').and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| "expected height and width in pixels, for example 150x150".to_owned())
}

impl Images {
    /// The options of a run's training.
    pub fn of_run(run: &Run, skip_corrupt: bool) -> Images {
        Images { skip_corrupt, ..Images::default() }.or_of_run(run)
    }

    /// The interpolation of resized images: by default, that of Keras' `image_dataset_from_directory`.
    pub fn interpolation(&self) -> Interpolation {
        self.interpolation.unwrap_or(Interpolation::Bilinear)
    }

    /// These options, completed by those of a run.
    pub fn or_of_run(&self, run: &Run) -> Images {
        Images {
            image_size: self.image_size.or(run.image_size),
            interpolation: self.interpolation.or(Some(run.interpolation)),
            grayscale: self.grayscale || run.color_mode == Some(ColorMode::Grayscale),
            ..self.clone()
        }
    }

    /// These options, with this height and width as the default size.
    pub fn or_of_size(&self, size: [usize; 2]) -> Images {
        Images { image_size: self.image_size.or(Some(size)), ..self.clone() }
    }

    /// The shape of a sample and the number of classes of a folder of classes, if its images are resized.
    pub fn described(&self, folder: &Path) -> Result<Option<(Shape, usize)>, Error> {
        if self.image_size.is_none() {
            return Ok(None);
        }
        let images = Images { skip_corrupt: false, stream: true, ..self.clone() };
        let data = images.load(folder)?;
        Ok(Some((data.sample_shape().clone(), data.classes())))
    }

    /// Loads a folder of classes with values from 0 to 1, showing a progress bar.
    pub fn load(&self, folder: &Path) -> Result<Dataset, Error> {
        let template = "{prefix} [{wide_bar}] {pos}/{len} images, {eta} left";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style.progress_chars("=>."));
        let bar = bar.with_prefix(folder.display().to_string());
        let mut warn = |damage: &DataError| bar.suspend(|| eprintln!("warning: left out: {}", chain(damage)));
        let data = image_dataset_from_directory(
            folder,
            ImageOptions {
                image_size: self.image_size,
                interpolation: self.interpolation(),
                color_mode: if self.grayscale { ColorMode::Grayscale } else { ColorMode::Rgb },
                corrupt: match self.skip_corrupt {
                    true => Corrupt::Skip(&mut warn),
                    false => Corrupt::Error,
                },
                stream: self.stream,
                progress: Some(&mut |done, all| {
                    bar.set_length(all as u64);
                    bar.set_position(done as u64);
                }),
                ..ImageOptions::default()
            },
        );
        bar.finish_and_clear();
        data.map(|data| Rescale::TO_1.apply(data)).map_err(|error| match error {
            corrupt @ DataError::Corrupt { .. } => Error::Corrupt(corrupt),
            error => error.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_height_and_width() {
        assert_eq!(size("150x200"), Ok([150, 200]));
        for wrong in ["", "150", "x", "0x1", "1x2x3", "-1x2", "70000x1"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
