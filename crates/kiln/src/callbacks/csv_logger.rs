//! Logs epochs to a CSV file.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::{Callback, CallbackState};
use crate::history::EpochLogs;
use crate::saving::{file_error, make_folder, read};
use crate::{Error, Model, Result};

/// The placeholder of a missing figure.
const MISSING: &str = "NA";

/// Writes the figures of each epoch as a line of a file, as Keras' `CSVLogger`. The first line names the columns:
/// `epoch`, counted from 0 as in Keras' files, then the figures in the order of [`EpochLogs::figures`]. Missing
/// validation figures are `NA`.
///
/// The file is replaced when the first epoch ends. A resumed training appends to the file, even without `append`, after
/// removing the lines of epochs after the checkpoint.
///
/// # Example
/// ```
/// use kiln::callbacks::CSVLogger;
///
/// let fresh = CSVLogger::new("runs/log.csv");
/// let longer = CSVLogger { separator: ';', append: true, ..CSVLogger::new("runs/log.csv") };
/// ```
#[derive(Debug)]
pub struct CSVLogger {
    /// The file. Missing folders are created.
    pub filename: PathBuf,
    /// The separator of columns.
    pub separator: char,
    /// Whether to append to an existing file, with its columns, instead of replacing it.
    pub append: bool,
    /// The state kept by training; initially `Default::default()`.
    pub state: CSVLoggerState,
}

/// The state of a [`CSVLogger`]. Each training resets it, unless it is resumed.
#[derive(Debug, Default)]
pub struct CSVLoggerState {
    file: Option<File>,
    /// Whether the file is truncated before the first line is written.
    fresh: bool,
    /// The number of finished epochs.
    epochs: usize,
    /// The figures with a column, once the file has its first line.
    columns: Option<Vec<String>>,
}

impl CSVLogger {
    /// Writes a new file with comma-separated columns.
    pub fn new(filename: impl AsRef<Path>) -> CSVLogger {
        let (filename, state) = (filename.as_ref().to_owned(), CSVLoggerState::default());
        CSVLogger { filename, separator: ',', append: false, state }
    }

    /// The columns of an existing file after `epoch`; `None` if it is empty.
    fn columns_of_the_file(&self) -> Result<Option<Vec<String>>> {
        if !self.filename.exists() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&read(&self.filename)?).into_owned();
        let Some(line) = text.lines().next() else { return Ok(None) };
        let mut columns = line.split(self.separator).map(str::to_owned);
        if columns.next().as_deref() != Some("epoch") {
            let problem = format!("expected a first line that begins with `epoch{}`, found `{line}`", self.separator);
            return Err(Error::Format { path: self.filename.clone(), problem });
        }
        Ok(Some(columns.collect()))
    }

    fn row(&self, epoch: &str, fields: impl IntoIterator<Item = String>) -> String {
        let mut row = epoch.to_owned();
        for field in fields {
            row.push(self.separator);
            row.push_str(&field);
        }
        row.push('\n');
        row
    }

    /// Writes immediately, so that a killed training leaves complete lines.
    fn write(&mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.state.file else { return Ok(()) };
        let fresh = std::mem::take(&mut self.state.fresh);
        let emptied = if fresh { file.set_len(0) } else { Ok(()) };
        let written = emptied.and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|source| file_error("write", &self.filename, source))
    }
}

/// The length in bytes of a file without its last lines from this epoch (counted from 0) on, and without an incomplete
/// line.
fn length_before(file: &[u8], epoch: usize, separator: char) -> usize {
    let mut kept = file.len();
    for line in file.split_inclusive(|&byte| byte == b'\n').rev() {
        let text = String::from_utf8_lossy(line);
        let number = text.split(separator).next().and_then(|field| field.parse::<usize>().ok());
        if text.ends_with('\n') && number.is_none_or(|number| number < epoch) {
            break;
        }
        kept -= line.len();
    }
    kept
}

/// The figures of an epoch, including those of a validation even if there was none.
fn columns_of(logs: &EpochLogs) -> Vec<String> {
    let names: Vec<String> = logs.figures().into_iter().map(|(name, _)| name.to_owned()).collect();
    if names.iter().any(|name| name.starts_with("val_")) {
        return names;
    }
    let validation: Vec<String> = names.iter().map(|name| format!("val_{name}")).collect();
    [names, validation].concat()
}

impl Callback for CSVLogger {
    fn on_train_begin(&mut self, _: &mut Model) -> Result<()> {
        self.filename.parent().map_or(Ok(()), make_folder)?;
        self.state.columns = if self.append { self.columns_of_the_file()? } else { None };
        let file = File::options().append(true).create(true).open(&self.filename);
        self.state.file = Some(file.map_err(|source| file_error("write", &self.filename, source))?);
        (self.state.fresh, self.state.epochs) = (!self.append, 0);
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Model, logs: &EpochLogs) -> Result<ControlFlow<()>> {
        let mut text = String::new();
        let columns = match self.state.columns.take() {
            Some(columns) => columns,
            None => {
                let columns = columns_of(logs);
                text = self.row("epoch", columns.clone());
                columns
            }
        };
        let field = |name: &String| logs.get(name).map_or(MISSING.to_owned(), |value| value.to_string());
        text += &self.row(&logs.epoch.saturating_sub(1).to_string(), columns.iter().map(field));
        self.state.columns = Some(columns);
        self.write(&text)?;
        self.state.epochs = logs.epoch;
        Ok(ControlFlow::Continue(()))
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.state = CSVLoggerState::default();
        Ok(())
    }

    fn state(&self) -> Result<Option<CallbackState>> {
        CallbackState::new("CSVLogger", &self.state.epochs).map(Some)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state.epochs = state.values()?;
        self.state.fresh = false;
        self.state.columns = self.columns_of_the_file()?;
        let length = length_before(&read(&self.filename)?, self.state.epochs, self.separator);
        let Some(file) = &self.state.file else { return Ok(()) };
        file.set_len(length as u64).map_err(|source| file_error("write", &self.filename, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_at_the_end_of_epochs_that_come_again_are_removed() {
        let kept = |text: &str, epoch| text[..length_before(text.as_bytes(), epoch, ',')].to_owned();
        assert_eq!(kept("epoch,loss\n0,1\n1,1\n2,1\n", 2), "epoch,loss\n0,1\n1,1\n");
        assert_eq!(kept("epoch,loss\n0,1\n1,1\n2,0.", 2), "epoch,loss\n0,1\n1,1\n");
        assert_eq!(kept("epoch,loss\n0,1\n1,1\n", 2), "epoch,loss\n0,1\n1,1\n");
        assert_eq!(kept("epoch,loss\n0,1\n5,1\n0,1\n1,1\n", 1), "epoch,loss\n0,1\n5,1\n0,1\n");
        assert_eq!(kept("epoch,loss\n0,1\n", 0), "epoch,loss\n");
        assert_eq!(kept("", 0), "");
    }
}
