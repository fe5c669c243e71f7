//! Pictures, as SVG and PNG.

mod axis;
mod blocks;
mod curves;
mod png;
mod step;

use std::io::Write;
use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

pub use self::blocks::Blocks;
pub use self::curves::{Curves, Panel};
pub use self::step::Step;
use crate::error::Error;
use crate::files;

const INK: RGBColor = RGBColor(60, 60, 60);
/// An embedded font, because servers often have none.
const FONT: &[u8] = epaint_default_fonts::UBUNTU_LIGHT;

/// A picture that can be drawn.
pub trait Picture {
    /// The picture as an SVG document.
    ///
    /// # Errors
    /// The reason why it cannot be drawn.
    fn svg(&self) -> Result<String, String>;
}

/// Draws a picture to an SVG or PNG file, depending on the extension.
pub fn draw(picture: &impl Picture, path: &Path) -> Result<(), Error> {
    register_fonts();
    let failed = |message| Error::Picture { path: path.to_owned(), message };
    let svg = picture.svg().map_err(failed)?;
    let bytes = match path.extension().is_some_and(|extension| extension == "svg") {
        true => svg.into_bytes(),
        false => png::render(&svg).map_err(failed)?,
    };
    let mut staged = files::stage(path)?;
    staged.write_all(&bytes).map_err(Error::file("write", path))?;
    files::publish(staged, path)
}

/// An SVG document of this size with a white background, drawn by a function.
fn on_white<F>(size: (u32, u32), draw: F) -> Result<String, String>
where
    F: for<'a> FnOnce(&DrawingArea<SVGBackend<'a>, Shift>) -> Result<(), DrawingAreaErrorKind<std::io::Error>>,
{
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    let drawn = area.fill(&WHITE).and_then(|()| draw(&area)).and_then(|()| area.present());
    drop(area);
    drawn.map_err(|error| error.to_string()).map(|()| svg)
}

fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only if the bytes are not a font, which drawing then reports.
        let _ = register_font("sans-serif", FontStyle::Normal, FONT);
    });
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
