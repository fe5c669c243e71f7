//! File names with placeholders for an epoch and its figures: `{epoch:02d}-{val_loss:.2f}`, as Python's `format`.

use crate::history::EpochLogs;
use crate::{Error, Result};

/// A name with placeholders.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Figure { name: String, format: Format },
}

/// The format of a number: `[0][width][.precision][kind]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Format {
    zeros: bool,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

impl Pattern {
    /// Parses a pattern. `{{` and `}}` are escaped braces.
    ///
    /// # Errors
    /// [`Error::Argument`] if a brace is unmatched or a format is unknown.
    pub fn parse(text: &str) -> Result<Pattern> {
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (brace, behind) = (&rest[at..=at], &rest[at + 1..]);
            plain.push_str(&rest[..at]);
            if behind.starts_with(brace) {
                plain.push_str(brace);
                rest = &behind[1..];
                continue;
            }
            let end = behind.find('}').filter(|_| brace == "{");
            let end = end.ok_or_else(|| wrong("a `}` for each `{`, and `{{` or `}}` for a brace", text))?;
            let (name, format) = behind[..end].split_once(':').unwrap_or((&behind[..end], ""));
            let format = Format::parse(format)
                .filter(|format| if name == "epoch" { format.is_for_epochs() } else { format.is_for_figures() })
                .ok_or_else(|| {
                    wrong("placeholders such as {epoch}, {epoch:02d}, {val_loss:.2f} and {loss:.3e}", text)
                })?;
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Figure { name: name.to_owned(), format });
            rest = &behind[end + 1..];
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Pattern { parts })
    }

    /// The name for an epoch.
    ///
    /// # Errors
    /// [`Error::Argument`] if the epoch has no figure with a placeholder's name.
    pub fn fill(&self, logs: &EpochLogs) -> Result<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => Ok(text.clone()),
            Part::Figure { name, format } if name == "epoch" => Ok(format.whole(logs.epoch)),
            Part::Figure { name, format } => logs.get(name).map(|value| format.figure(value)).ok_or_else(|| {
                let names: Vec<&str> = logs.figures().into_iter().map(|(name, _)| name).collect();
                let expected = format!("placeholders among epoch, {}", names.join(", "));
                Error::Argument { name: "filepath", expected, found: format!("{{{name}}}") }
            }),
        };
        self.parts.iter().map(part).collect()
    }
}

fn wrong(expected: &str, found: &str) -> Error {
    Error::Argument { name: "filepath", expected: expected.to_owned(), found: format!("`{found}`") }
}

impl Format {
    fn parse(text: &str) -> Option<Format> {
        let (text, kind) = match text.strip_suffix(['d', 'f', 'e']) {
            Some(numbers) => (numbers, text.chars().last()),
            None => (text, None),
        };
        let (width, precision) = match text.split_once('.') {
            Some((width, precision)) => (width, Some(precision.parse().ok()?)),
            None => (text, None),
        };
        let zeros = width.len() > 1 && width.starts_with('0');
        let width = if width.is_empty() { 0 } else { width.parse().ok()? };
        Some(Format { zeros, width, precision, kind })
    }

    fn is_for_epochs(&self) -> bool {
        self.precision.is_none() && matches!(self.kind, None | Some('d'))
    }

    fn is_for_figures(&self) -> bool {
        matches!(self.kind, Some('f' | 'e')) || self.kind.is_none() && self.precision.is_none()
    }

    fn whole(&self, value: usize) -> String {
        self.padded(value.to_string())
    }

    fn figure(&self, value: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        self.padded(match self.kind {
            Some('e') => scientific(value, precision),
            Some(_) => format!("{value:.precision$}"),
            None => format!("{value:?}"),
        })
    }

    fn padded(&self, text: String) -> String {
        let width = self.width;
        match (text.strip_prefix('-'), self.zeros) {
            (Some(digits), true) => format!("-{digits:0>width$}", width = width.saturating_sub(1)),
            (None, true) => format!("{text:0>width$}"),
            _ => format!("{text:>width$}"),
        }
    }
}

/// `2.50e-01`: the exponent has a sign and at least two digits.
fn scientific(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        },
        None => text,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::figures::Figures;

    fn logs() -> EpochLogs {
        let metrics = Figures::from([("accuracy", 1.0)]);
        EpochLogs { epoch: 7, loss: 0.25, metrics, val_loss: Some(-0.001_234_5), ..EpochLogs::default() }
    }

    #[test]
    fn placeholders_become_what_python_makes_of_them() {
        for (pattern, expected) in [
            ("best", "best"),
            ("{epoch}", "7"),
            ("a/{epoch:02d}-{val_loss:.2f}.b", "a/07--0.00.b"),
            ("{epoch:04d}{epoch:3d}{epoch:03}", "0007  7007"),
            ("{loss}|{accuracy}|{loss:f}|{loss:8.3f}|{val_loss:08.3f}", "0.25|1.0|0.250000|   0.250|-000.001"),
            ("{loss:.2e}{val_loss:.1e}{accuracy:e}", "2.50e-01-1.2e-031.000000e+00"),
            ("{{epoch}}{epoch}{{{loss:.1f}}}ä", "{epoch}7{0.2}ä"),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().fill(&logs()).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_an_error_that_shows_it() {
        for pattern in ["{epoch", "epoch}", "{epoch:.2f}", "{loss:d}", "{loss:.2x}", "{loss:.2}", "{loss:+f}"] {
            let error = Pattern::parse(pattern).unwrap_err().to_string();
            assert!(error.starts_with("filepath: expected ") && error.contains(pattern), "{error}");
        }
    }

    #[test]
    fn a_figure_that_is_not_there_is_an_error_that_lists_those_that_are() {
        let error = Pattern::parse("{val_accuracy:.2f}").unwrap().fill(&logs()).unwrap_err().to_string();
        assert_eq!(
            error,
            "filepath: expected placeholders among epoch, loss, accuracy, val_loss, found {val_accuracy}"
        );
    }
}
