//! How images in folders become samples.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use kiln::data::{ColorMode, Corrupt, DataError, Dataset, ImageOptions, Interpolation, image_dataset_from_directory};
use kiln::graph::Shape;

use crate::commands::run::{Rescale, Run};
use crate::error::{Error, chain};

/// What a user can say about images in folders.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Images {
    /// Resize images in folders to this height and width, such as 150x150. Without it, all must have one size.
    #[arg(long, value_parser = size, value_name = "HxW")]
    image_size: Option<[usize; 2]>,
    /// How images in folders are resized: nearest, bilinear, bicubic, lanczos, box or hamming [default: bilinear].
    #[arg(long, value_name = "NAME")]
    interpolation: Option<Interpolation>,
    /// Read images in folders as one channel, grey.
    #[arg(long)]
    grayscale: bool,
    /// Leave out images that cannot be decoded, with a warning, instead of ending with an error.
    #[arg(long)]
    skip_corrupt: bool,
    /// Decode images in folders when they are needed, again in each epoch, rather than keep them in memory.
    #[arg(long)]
    stream: bool,
}

/// Height and width in pixels: `150x150`.
pub fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=65_535).contains(side));
    let sides = text.split_once('x').and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| "expected height and width in pixels, such as 150x150".to_owned())
}

impl Images {
    /// Images as the model of a run learned from them.
    pub fn of_run(run: &Run, skip_corrupt: bool) -> Images {
        Images { skip_corrupt, ..Images::default() }.or_of_run(run)
    }

    /// How images in folders are resized: as Keras' `image_dataset_from_directory` does where nothing was said.
    pub fn interpolation(&self) -> Interpolation {
        self.interpolation.unwrap_or(Interpolation::Bilinear)
    }

    /// The same; as the model of a run learned from them where nothing was said.
    pub fn or_of_run(&self, run: &Run) -> Images {
        Images {
            image_size: self.image_size.or(run.image_size),
            interpolation: self.interpolation.or(Some(run.interpolation)),
            grayscale: self.grayscale || run.color_mode == Some(ColorMode::Grayscale),
            ..self.clone()
        }
    }

    /// The same, resized to this height and width if nothing else was said.
    pub fn or_of_size(&self, size: [usize; 2]) -> Images {
        Images { image_size: self.image_size.or(Some(size)), ..self.clone() }
    }

    /// The shape of a sample and the number of classes of the images in the folders of a folder, if they are resized.
    pub fn described(&self, folder: &Path) -> Result<Option<(Shape, usize)>, Error> {
        if self.image_size.is_none() {
            return Ok(None);
        }
        let images = Images { skip_corrupt: false, stream: true, ..self.clone() };
        let data = images.load(folder)?;
        Ok(Some((data.sample_shape().clone(), data.classes())))
    }

    /// The images in the folders of a folder, which a model sees as 0 to 1; with a bar that tells how far it is.
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
