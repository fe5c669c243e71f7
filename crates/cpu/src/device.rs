//! The processor as a device.

use std::sync::Arc;

use futures::future::{FutureExt, ready};
use kiln_graph::{Device, DeviceBuffer, DeviceError, DeviceFuture, DeviceInfo, Plan, Profile, Program, Step};

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
    /// [`DeviceError::Invalid`] if the number of threads or of lanes is not available.
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

    fn program_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
    ) -> DeviceFuture<'a, Box<dyn Program>> {
        let program = CpuProgram::new(&self.context, plan, buffers);
        ready(program.map(|program| Box::new(program) as Box<dyn Program>)).boxed()
    }

    fn with_binding_limit(&self, bytes: u64) -> Result<Arc<dyn Device>, DeviceError> {
        let options = Options { max_binding_bytes: bytes, ..self.context.options.clone() };
        Ok(Arc::new(CpuDevice::new(options)?))
    }

    fn profile_async<'a>(
        &'a self,
        plan: &'a Plan,
        buffers: &'a [Arc<dyn DeviceBuffer>],
        steps: &'a [Step],
    ) -> DeviceFuture<'a, Profile> {
        ready(self.time_calls(plan, buffers, steps)).boxed()
    }
}
