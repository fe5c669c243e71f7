//! TensorBoard's event files.
//!
//! Events are protocol buffers: `Event { 1: double wall_time, 2: int64 step, 3: string file_version, 5: Summary }`,
//! `Summary { 1: repeated Value }` and `Value { 1: string tag, 2: float simple_value }`.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::record::framed;
use crate::Result;
use crate::saving::{file_error, make_folder};

/// The file version in the first event.
const FILE_VERSION: &str = "brain.Event:2";

/// Wire types of fields.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

/// An event file with a single writer.
#[derive(Debug)]
pub(super) struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// Creates a file in a folder, and the folder if it is missing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(folder: &Path) -> Result<EventFile> {
        make_folder(folder)?;
        let (seconds, process) = (now() as u64, std::process::id());
        let mut number = 0;
        let (path, file) = loop {
            let path = folder.join(format!("events.out.tfevents.{seconds:010}.kiln.{process}.{number}.v2"));
            match File::create_new(&path) {
                Ok(file) => break (path, file),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(file_error("write", &path, error)),
            }
        };
        let mut events = EventFile { path, file };
        events.append(&version_event(now()))?;
        Ok(events)
    }

    /// Appends an event with the figures of one step.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, step: u64, figures: impl IntoIterator<Item = (String, f64)>) -> Result<()> {
        self.append(&scalars_event(now(), step, figures))
    }

    /// Written at once, so that readers find complete records.
    fn append(&mut self, event: &[u8]) -> Result<()> {
        self.file.write_all(&framed(event)).map_err(|source| file_error("write", &self.path, source))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = wall_time_field(wall_time);
    bytes_field(&mut event, 3, FILE_VERSION.as_bytes());
    event
}

fn scalars_event(wall_time: f64, step: u64, figures: impl IntoIterator<Item = (String, f64)>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, figure) in figures {
        let mut value = Vec::new();
        bytes_field(&mut value, 1, tag.as_bytes());
        key(&mut value, 2, FIXED32);
        value.extend((figure as f32).to_le_bytes());
        bytes_field(&mut summary, 1, &value);
    }
    let mut event = wall_time_field(wall_time);
    key(&mut event, 2, VARINT);
    varint(&mut event, step);
    bytes_field(&mut event, 5, &summary);
    event
}

fn wall_time_field(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, FIXED64);
    event.extend(wall_time.to_le_bytes());
    event
}

fn bytes_field(message: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    key(message, field, BYTES);
    varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn key(message: &mut Vec<u8>, field: u32, wire_type: u32) {
    varint(message, u64::from(field << 3 | wire_type));
}

/// Seven bits per byte, lowest first; the highest bit is set if more bytes follow.
fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_the_protocol_buffers_documentation() {
        for (value, expected) in [(1, &[0x01][..]), (127, &[0x7f]), (150, &[0x96, 0x01]), (300, &[0xac, 0x02])] {
            let mut found = Vec::new();
            varint(&mut found, value);
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_first_event_tells_the_files_version() {
        let wall_time = [0, 0, 0, 0, 0, 0, 0xf8, 0x3f];
        assert_eq!(version_event(1.5), [&[0x09][..], &wall_time, &[0x1a, 13], b"brain.Event:2"].concat());
    }

    #[test]
    fn an_event_has_the_bytes_that_tensorflow_writes() {
        // event_pb2.Event(wall_time=1.5, step=300, summary=Summary(value=[
        //     Summary.Value(tag="loss", simple_value=0.25)])).SerializeToString().hex()
        let found: String =
            scalars_event(1.5, 300, [("loss".to_owned(), 0.25)]).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(found, "09000000000000f83f10ac022a0d0a0b0a046c6f7373150000803e");
    }
}
