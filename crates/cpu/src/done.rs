//! A run that is over when it is handed out.

use kiln_graph::{DeviceError, Pending};

/// What was read back.
#[derive(Debug)]
pub(crate) struct Done(pub(crate) Vec<u8>);

impl Pending for Done {
    fn poll(&mut self) -> Result<Option<Vec<u8>>, DeviceError> {
        Ok(Some(std::mem::take(&mut self.0)))
    }

    fn wait(self: Box<Self>) -> Result<Vec<u8>, DeviceError> {
        Ok(self.0)
    }
}
