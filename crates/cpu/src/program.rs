//! A compiled plan: functions, addresses and parameters, resolved once.

use std::ops::Range;
use std::sync::Arc;

use kiln_graph::{
    DeviceBuffer, DeviceError, Dispatch, Done, Fault, Memory, Native, NativeFn, Order, OutOfBounds, Pending, Plan,
    PlannedCall, Program, ReadBack, Step,
};

use crate::buffer::{CpuBuffer, source};
use crate::context::Context;
use crate::profile::Clock;
use crate::region;

#[derive(Debug)]
pub(crate) struct CpuProgram {
    context: Arc<Context>,
    calls: Vec<ReadyCall>,
    /// The memory of the calls, alive as long as they are.
    _buffers: Vec<Arc<CpuBuffer>>,
}

/// A dispatch with its function, memory and parameters.
#[derive(Debug)]
pub(crate) struct ReadyCall {
    scope: String,
    kernel: &'static str,
    function: NativeFn,
    memory: Vec<Memory>,
    params: Vec<u8>,
    overrides: Vec<f64>,
    workgroups: [u32; 3],
    order: Order,
    max_lanes: u32,
}

impl CpuProgram {
    pub(crate) fn new(
        context: &Arc<Context>,
        plan: &Plan,
        buffers: &[Arc<dyn DeviceBuffer>],
    ) -> Result<CpuProgram, DeviceError> {
        let bytes: Vec<u64> = buffers.iter().map(|buffer| buffer.bytes()).collect();
        plan.check(&bytes, &context.info.limits).map_err(|rule| context.invalid(rule))?;
        let buffers: Vec<_> = buffers.iter().map(|buffer| CpuBuffer::of(buffer, context)).collect::<Result<_, _>>()?;
        let calls = plan.calls.iter().map(|call| ReadyCall::new(context, call, &buffers)).collect::<Result<_, _>>()?;
        Ok(CpuProgram { context: context.clone(), calls, _buffers: buffers })
    }

    /// Runs the calls once per step and returns a copy of the range to read back.
    pub(crate) fn run_and_time(
        &mut self,
        steps: &[Step],
        read_back: Option<ReadBack<'_>>,
        clock: Option<&Clock>,
    ) -> Result<Vec<u8>, DeviceError> {
        let source = source(read_back, &self.context)?;
        let mut team = self.context.turn();
        // SAFETY: it is our turn, so the device's memory is not used elsewhere.
        unsafe { region::run(&mut team, &self.calls, steps, clock) }
            .map_err(|(call, access)| self.fault(call, access))?;
        Ok(match source {
            // SAFETY: it is still our turn.
            Some((buffer, offset, bytes)) => unsafe { buffer.copy(offset, bytes) },
            None => Vec::new(),
        })
    }

    fn fault(&self, call: usize, access: OutOfBounds) -> DeviceError {
        let OutOfBounds { variable, word, words } = access;
        let ReadyCall { scope, kernel, .. } = &self.calls[call];
        DeviceError::OutOfBounds {
            device: self.context.info.name.clone(),
            scope: scope.clone(),
            kernel,
            variable,
            word,
            words,
        }
    }
}

impl Program for CpuProgram {
    /// Runs all steps before it returns.
    fn run(&mut self, steps: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        Ok(Box::new(Done(self.run_and_time(steps, read_back, None)?)))
    }
}

impl ReadyCall {
    /// A call of a plan validated by [`Plan::check`] with these buffers.
    fn new(context: &Context, call: &PlannedCall, buffers: &[Arc<CpuBuffer>]) -> Result<ReadyCall, DeviceError> {
        let native = call.kernel.native().ok_or_else(|| {
            let rule =
                "has no native code, as only GPUs run it; lower for a device whose limits say `gpu_kernels: false`";
            context.invalid(format!("{} in `{}` {rule}", call.kernel.name, call.scope))
        })?;
        let function = match context.options.checked || !call.kernel.is_trusted() {
            true => native.checked.ok_or_else(|| {
                let rule =
                    "has no checks, as it was compiled without debug assertions; open the device with `checked: false`";
                context.invalid(format!("{} in `{}` {rule}", call.kernel.name, call.scope))
            })?,
            false => native.unchecked,
        };
        let memory = call.arguments.iter().map(|range| buffers[range.buffer].memory(range.offset, range.bound_bytes()));
        Ok(ReadyCall {
            scope: call.scope.clone(),
            kernel: call.kernel.name,
            function,
            memory: memory.collect(),
            params: call.params.clone(),
            overrides: override_values(native, call).map_err(|rule| context.invalid(rule))?,
            workgroups: call.workgroups,
            order: context.options.order,
            max_lanes: context.options.max_lanes,
        })
    }

    /// The number of workgroups.
    pub(crate) fn workgroups(&self) -> u64 {
        self.workgroups.iter().map(|&count| u64::from(count)).product()
    }

    /// Runs the workgroups of an index range.
    ///
    /// # Safety
    /// Nobody may use the call's memory meanwhile, except other workgroups of this call.
    pub(crate) unsafe fn run(&self, step: &Step, workgroups: Range<u64>, fault: &Fault) {
        let dispatch = Dispatch {
            memory: &self.memory,
            params: &self.params,
            step: *step,
            overrides: &self.overrides,
            workgroups: self.workgroups,
            order: self.order,
            max_lanes: self.max_lanes,
            fault,
        };
        // SAFETY: the memory is within buffers that the program keeps alive, followed by padding; no buffer is both read
        // and written, and the numbers of parameters and overrides match the kernel, by `Plan::check` and
        // `override_values`. There are no concurrent writes, by this function's own contract.
        unsafe { (self.function)(&dispatch, workgroups) }
    }
}

/// The values of the overrides in the kernel's order; or an error that names one without a value.
fn override_values(native: &Native, call: &PlannedCall) -> Result<Vec<f64>, String> {
    let value = |wanted: &kiln_graph::Override| {
        let given = call.overrides.iter().find(|(name, _)| *name == wanted.name).map(|&(_, value)| value);
        given.or(wanted.default).ok_or_else(|| {
            format!(
                "{} in `{}`: override `{}` has no default, expected a value",
                call.kernel.name, call.scope, wanted.name
            )
        })
    };
    native.overrides.iter().map(value).collect()
}
