//! The processor as a device.

use std::sync::Arc;

use kiln_graph::{Device, DeviceBuffer, DeviceError, DeviceInfo, Plan, Profile, Program, Step};

use crate::buffer::CpuBuffer;
use crate::context::Context;
use crate::options::Options;
use crate::program::CpuProgram;

/// The processor as a device that runs plans. Clones are the same device, with the same threads.
#[derive(Clone, Debug)]
pub struct CpuDevice {
    pub(crate) context: Arc<Context>,
}

impl CpuDevice {
    /// Starts the threads, which sleep while nothing runs.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] when the number of threads or of lanes is none that can be had.
    pub fn new(options: Options) -> Result<CpuDevice, DeviceError> {
        Ok(CpuDevice { context: Arc::new(Context::new(options)?) })
    }
}

impl Device for CpuDevice {
    fn info(&self) -> &DeviceInfo {
        &self.context.info
    }

    fn allocate(&self, label: &str, bytes: u64) -> Result<Arc<dyn DeviceBuffer>, DeviceError> {
        Ok(Arc::new(CpuBuffer::new(&self.context, label, bytes)?))
    }

    fn program(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>]) -> Result<Box<dyn Program>, DeviceError> {
        Ok(Box::new(CpuProgram::new(&self.context, plan, buffers)?))
    }

    fn with_binding_limit(&self, bytes: u64) -> Result<Arc<dyn Device>, DeviceError> {
        let options = Options { max_binding_bytes: bytes, ..self.context.options.clone() };
        Ok(Arc::new(CpuDevice::new(options)?))
    }

    fn profile(&self, plan: &Plan, buffers: &[Arc<dyn DeviceBuffer>], steps: &[Step]) -> Result<Profile, DeviceError> {
        self.time_calls(plan, buffers, steps)
    }
}
