//! Pictures.

mod axis;
mod curves;
mod step;

use std::path::Path;
use std::sync::Once;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

pub use self::curves::Curves;
pub use self::step::Step;
use crate::error::Error;
use crate::files;

const INK: RGBColor = RGBColor(60, 60, 60);

/// Something that can be drawn.
pub trait Picture {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);

    /// Draws it on a white area of that size.
    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Result<(), DrawingAreaErrorKind<B::ErrorType>>;
}

/// Draws a picture to a file: SVG or PNG, as its extension says.
pub fn draw(picture: &impl Picture, path: &Path) -> Result<(), Error> {
    register_fonts();
    let staged = files::stage(path)?;
    let drawn = match path.extension().is_some_and(|extension| extension == "svg") {
        true => on(&SVGBackend::new(staged.path(), picture.size()).into_drawing_area(), picture),
        false => on(&BitMapBackend::new(staged.path(), picture.size()).into_drawing_area(), picture),
    };
    drawn.map_err(|message| Error::Picture { path: path.to_owned(), message })?;
    files::publish(staged, path)
}

fn on<B: DrawingBackend>(area: &DrawingArea<B, Shift>, picture: &impl Picture) -> Result<(), String> {
    let drawn = area.fill(&WHITE).and_then(|()| picture.draw(area)).and_then(|()| area.present());
    drawn.map_err(|error| error.to_string())
}

/// A font of our own: a machine without a screen often has none.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Refused only if the bytes are no font; then drawing says so.
        let _ = register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
