//! The validation of a plan by every device before it creates a program.

use crate::{Access, Argument, Binding, Kernel, Limits, Plan, PlannedCall};

impl Argument {
    /// The size of the bound range in bytes: whole 32-bit words.
    pub fn bound_bytes(&self) -> u64 {
        self.bytes.checked_next_multiple_of(4).unwrap_or(u64::MAX)
    }

    /// Whether the byte ranges overlap.
    fn overlaps(&self, other: &Argument) -> bool {
        let end = |range: &Argument| range.offset.saturating_add(range.bound_bytes());
        self.buffer == other.buffer && self.offset < end(other) && other.offset < end(self)
    }
}

impl Plan {
    /// Validates the plan against its buffers, of `buffer_bytes` bytes each, and against a device's limits.
    ///
    /// # Errors
    /// The broken rule as text.
    pub fn check(&self, buffer_bytes: &[u64], limits: &Limits) -> Result<(), String> {
        let (given, needed) = (buffer_bytes.len(), self.buffers.len());
        if given != needed {
            return Err(format!("the plan needs {needed} buffers, {given} were given"));
        }
        for (index, (buffer, given)) in self.buffers.iter().zip(buffer_bytes).enumerate() {
            if *given < buffer.bytes {
                let name = buffer.name.clone().unwrap_or_else(|| format!("slot {index}"));
                return Err(format!("buffer `{name}` has {given} bytes, the plan needs {}", buffer.bytes));
            }
        }
        self.calls.iter().try_for_each(|call| {
            check_call(call, buffer_bytes, limits)
                .map_err(|rule| format!("{} in `{}`: {rule}", call.kernel.name, call.scope))
        })
    }
}

fn check_call(call: &PlannedCall, buffer_bytes: &[u64], limits: &Limits) -> Result<(), String> {
    let kernel = call.kernel;
    for (argument, binding) in call.arguments.iter().zip(kernel.bindings) {
        check_range(argument, binding, buffer_bytes, limits)?;
    }
    check_arguments(kernel, &call.arguments, limits)?;
    let (given, needed) = (call.params.len(), kernel.params.map_or(0, |params| params.bytes as usize));
    if given != needed {
        return Err(format!("{given} bytes of parameters, the kernel takes {needed}"));
    }
    if exceeds_workgroups(call.workgroups, limits) {
        let most = limits.max_workgroups;
        return Err(format!("{:?} workgroups, at most {most} along each axis", call.workgroups));
    }
    Ok(())
}

/// Whether a dispatch exceeds the device's limit of workgroups along an axis.
pub(crate) fn exceeds_workgroups(workgroups: [u32; 3], limits: &Limits) -> bool {
    workgroups.iter().any(|&count| count > limits.max_workgroups)
}

/// Validates the arguments of a call, except the ends of the buffers: one aligned range per binding, no buffer both
/// read and written, and no overlapping ranges written.
///
/// # Errors
/// The broken rule as text.
pub(crate) fn check_arguments(kernel: &Kernel, arguments: &[Argument], limits: &Limits) -> Result<(), String> {
    let (given, needed) = (arguments.len(), kernel.bindings.len());
    if given != needed {
        return Err(format!("{given} tensors for {needed} bindings"));
    }
    for (index, (argument, binding)) in arguments.iter().zip(kernel.bindings).enumerate() {
        let (name, offset, bytes) = (binding.name, argument.offset, argument.bound_bytes());
        let (start, element) = (limits.binding_align, u64::from(binding.align));
        if !offset.is_multiple_of(start) {
            return Err(format!("`{name}` starts at byte {offset}, which is not a multiple of {start}"));
        }
        if !bytes.is_multiple_of(element) {
            return Err(format!("`{name}` has {bytes} bytes, which is not a multiple of its elements' {element}"));
        }
        for (other, bound) in arguments.iter().zip(kernel.bindings).take(index) {
            if other.buffer == argument.buffer && bound.access != binding.access {
                return Err(format!("`{}` is in a buffer that the call both reads and writes", binding.name));
            }
            if binding.access == Access::ReadWrite && argument.overlaps(other) {
                return Err(format!("`{}` and `{}` overlap, and the call writes both", bound.name, binding.name));
            }
        }
    }
    Ok(())
}

fn check_range(argument: &Argument, binding: &Binding, buffer_bytes: &[u64], limits: &Limits) -> Result<(), String> {
    let Argument { buffer, offset, .. } = *argument;
    let (name, bytes) = (binding.name, argument.bound_bytes());
    let Some(&size) = buffer_bytes.get(buffer) else {
        return Err(format!("`{name}` is in buffer {buffer} of {}", buffer_bytes.len()));
    };
    if bytes == 0 {
        return Err(format!("`{name}` is empty"));
    }
    if offset.checked_add(bytes).is_none_or(|end| end > size) {
        return Err(format!("`{name}`, {bytes} bytes at {offset}, is not within its buffer of {size} bytes"));
    }
    let most = limits.max_binding_bytes;
    if bytes > most {
        return Err(format!("`{name}` has {bytes} bytes, a kernel sees at most {most}"));
    }
    Ok(())
}
