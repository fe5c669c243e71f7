//! A line per epoch in a file that tables are made of.

use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Callback;
use crate::history::EpochLogs;
use crate::saving::{file_error, make_folder, read};
use crate::{Error, Model, Result};

/// What stands for a figure that an epoch lacks.
const MISSING: &str = "NA";

/// Writes the figures of each epoch as a line of a file when the epoch ends, as Keras' `CSVLogger` does. The first line
/// names the columns: `epoch`, counted from 0 as in Keras' files, then the figures in the order of
/// [`EpochLogs::figures`], those of a validation as `NA` where there is none.
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
    /// The file. Folders that are not there are made.
    pub filename: PathBuf,
    /// What stands between two columns.
    pub separator: char,
    /// Whether lines are added to a file that is there, in its columns, rather than the file replaced.
    pub append: bool,
    /// What training leaves here: `Default::default()` to begin with.
    pub state: CSVLoggerState,
}

/// What a [`CSVLogger`] keeps from epoch to epoch. Each training starts anew.
#[derive(Debug, Default)]
pub struct CSVLoggerState {
    file: Option<File>,
    /// The figures that have a column, once the file has its first line.
    columns: Option<Vec<String>>,
}

impl CSVLogger {
    /// Writes a new file with commas between its columns.
    pub fn new(filename: impl AsRef<Path>) -> CSVLogger {
        let (filename, state) = (filename.as_ref().to_owned(), CSVLoggerState::default());
        CSVLogger { filename, separator: ',', append: false, state }
    }

    /// The columns of a file that is there, behind `epoch`; none if it is empty.
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

    /// Writes at once, so that a training that is killed leaves whole lines.
    fn write(&mut self, text: &str) -> Result<()> {
        let Some(file) = &mut self.state.file else { return Ok(()) };
        file.write_all(text.as_bytes()).map_err(|source| file_error("write", &self.filename, source))
    }
}

/// The figures of an epoch, and those of a validation even where there was none.
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
        let mut options = File::options();
        let options = if self.append { options.append(true) } else { options.write(true).truncate(true) };
        let file = options.create(true).open(&self.filename);
        self.state.file = Some(file.map_err(|source| file_error("write", &self.filename, source))?);
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
        Ok(ControlFlow::Continue(()))
    }

    fn on_train_end(&mut self, _: &mut Model) -> Result<()> {
        self.state = CSVLoggerState::default();
        Ok(())
    }
}
