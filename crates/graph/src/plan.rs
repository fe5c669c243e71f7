//! Graph to plan: which kernels run in which order, over which buffers.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;

use crate::check::{check_arguments, exceeds_workgroups};
use crate::fusion::fused_nodes;
use crate::lowering::Local;
use crate::order::{one_by_one, side_by_side, waits};
use crate::slots::share;
use crate::windows::lowerings;
use crate::{
    Access, Call, Choice, Choices, Error, Graph, Kernel, Limits, Lowering, Result, Storage, Tensor, TensorType,
};

/// Kernel calls in order and the buffers that they need: plain data, ready for any device. Prints as a table.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The buffers, persistent ones first.
    pub buffers: Vec<PlanBuffer>,
    /// The calls, in the order in which they run.
    pub calls: Vec<PlannedCall>,
    /// The choices between kernels that ops made, each once.
    pub choices: Vec<Choice>,
}

/// The number of bytes past a tensor's end that a kernel may read and discard: a row of 32 lanes. Every binding that
/// is only read, and every buffer, is longer than its content by this much, so that a kernel can load whole rows of
/// lanes without testing each.
pub const READ_PAST: u64 = 128;

/// A buffer of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanBuffer {
    /// The name of a persistent buffer; `None` for a slot that nobody outside the program sees.
    pub name: Option<String>,
    /// Its size in bytes (for a persistent one: what this plan sees of it).
    pub bytes: u64,
}

/// A call of a kernel over ranges of buffers: its [`CallDescriptor`], whose fields it shows. It cannot be changed once it
/// is made, so safe code cannot call a trusted kernel with sizes that its tensors do not have.
#[derive(Clone, Debug)]
pub struct PlannedCall {
    descriptor: CallDescriptor,
}

/// All that a device must know of a call.
#[derive(Clone, Debug)]
pub struct CallDescriptor {
    /// The scope of the node that it comes from, usually a layer's name.
    pub scope: String,
    /// The kernel.
    pub kernel: &'static Kernel,
    /// One per binding of the kernel, in order.
    pub arguments: Vec<Argument>,
    /// Values of the shader's `override`s.
    pub overrides: Vec<(&'static str, f64)>,
    /// The bytes of the kernel's parameters.
    pub params: Vec<u8>,
    /// Workgroups along x, y and z.
    pub workgroups: [u32; 3],
    /// Floating-point operations that the formula needs, 0 where memory traffic is what counts.
    pub flops: u64,
}

impl PlannedCall {
    /// A call made by hand, for plans that no graph is behind.
    ///
    /// # Safety
    /// If the kernel [is trusted](Kernel::is_trusted), the call must keep the promise of [`Kernel::trusted`]: with these
    /// parameters, overrides and workgroups, no access may lie outside an argument.
    pub unsafe fn new(descriptor: CallDescriptor) -> PlannedCall {
        PlannedCall { descriptor }
    }

    /// The arguments, whose buffers `slots.rs` replaces.
    pub(crate) fn arguments_mut(&mut self) -> &mut [Argument] {
        &mut self.descriptor.arguments
    }
}

impl Deref for PlannedCall {
    type Target = CallDescriptor;

    fn deref(&self) -> &CallDescriptor {
        &self.descriptor
    }
}

impl CallDescriptor {
    /// Bytes of the tensors that the call sees, each once: what it reads and what it writes.
    pub fn bytes(&self) -> u64 {
        self.distinct().map(|(_, argument)| argument.ty.bytes()).sum()
    }

    /// The shapes of what it reads, and behind an arrow of what it writes: `128x28x28x1 5x5x1x20 20 -> 128x28x28x20`.
    pub fn shapes(&self) -> String {
        let of = |wanted: Access| {
            let shape = |argument: &Argument| match argument.ty.shape.len() {
                0 => "1".to_owned(),
                _ => argument.ty.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
            };
            let wanted = self.distinct().filter(|(access, _)| *access == wanted);
            wanted.map(|(_, argument)| shape(argument)).collect::<Vec<_>>().join(" ")
        };
        format!("{} -> {}", of(Access::Read), of(Access::ReadWrite)).trim_start().to_owned()
    }

    /// The arguments without those that are bound a second time because a kernel leaves them out.
    fn distinct(&self) -> impl Iterator<Item = (Access, &Argument)> {
        let arguments = self.kernel.bindings.iter().zip(&self.arguments).enumerate();
        let first = |(index, (_, argument)): &(usize, (_, &Argument))| !self.arguments[..*index].contains(*argument);
        arguments.filter(first).map(|(_, (binding, argument))| (binding.access, argument))
    }
}

/// A tensor as a kernel sees it: a range of a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// The start of the range in bytes.
    pub offset: u64,
    /// The size of the range in bytes.
    pub bytes: u64,
    /// The type of the tensor in the range.
    pub ty: TensorType,
}

impl Plan {
    /// Lowers every required node (which computes or updates a persistent tensor), several at once if an
    /// op fuses them ([`Op::fuse`](crate::Op::fuse)), and chooses the buffers. Tensors above the binding limit are computed in
    /// windows (`windows.rs`).
    ///
    /// Calls are ordered (`order.rs`) while each tensor has a buffer of its own; then those that are not persistent and
    /// not used at the same time share one, a slot (`slots.rs`). A slot is a whole buffer, because WebGPU tracks whole
    /// buffers: one that a kernel both reads and writes would be an error even at disjoint ranges.
    ///
    /// # Errors
    /// If a tensor or a dispatch exceeds the device's limits, an op's lowering violates a rule, or a persistent tensor is in
    /// a buffer of another graph.
    pub fn new(graph: &Graph, limits: &Limits) -> Result<Plan> {
        Plan::with(graph, limits, &Choices::default())
    }

    /// As [`Plan::new`], with the kernels that were found to be best for a device.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn with(graph: &Graph, limits: &Limits, choices: &Choices) -> Result<Plan> {
        graph.check_buffers()?;
        let nodes = fused_nodes(graph);
        let mut planner = Planner {
            graph,
            limits,
            buffers: graph.buffers().iter().map(|name| PlanBuffer { name: Some(name.clone()), bytes: 0 }).collect(),
            buffer_of: vec![None; graph.tensor_count()],
        };
        let mut calls = Vec::new();
        let mut made: Vec<Choice> = Vec::new();
        for node in &nodes {
            for &output in &node.outputs {
                let base = graph.base(output);
                if graph.storage(base) == Storage::Planned {
                    planner.buffer_of[base.index()] = Some(planner.add_buffer());
                }
            }
            for mut lowering in lowerings(graph, node, limits, choices) {
                node.op.lower(&mut lowering)?;
                let Lowering { calls: unplaced, locals, made: new, .. } = lowering;
                made.extend(new);
                let locals = planner.place_locals(locals);
                for call in unplaced {
                    calls.push(planner.place(call, &node.scope, &locals)?);
                }
            }
        }
        let mut known = HashSet::new();
        made.retain(|choice| known.insert(choice.key()));
        let mut calls = if limits.gpu_kernels { side_by_side(calls) } else { one_by_one(calls) };
        let buffers = share(planner.buffers, &mut calls);
        let calls = calls.into_iter().map(|(_, call)| call).collect();
        Ok(Plan { buffers, calls, choices: made })
    }

    /// The number of times a GPU has to wait for all previous calls before it can start the next one, because that writes a
    /// buffer they use or uses a buffer they write.
    pub fn waits(&self) -> usize {
        waits(&self.calls)
    }

    /// The bytes of all slots together: what the program needs beside the persistent buffers.
    pub fn slot_bytes(&self) -> u64 {
        self.buffers.iter().filter(|buffer| buffer.name.is_none()).map(|buffer| buffer.bytes).sum()
    }
}

struct Planner<'a> {
    graph: &'a Graph,
    limits: &'a Limits,
    buffers: Vec<PlanBuffer>,
    /// Of each tensor that is not persistent, its buffer.
    buffer_of: Vec<Option<usize>>,
}

impl Planner<'_> {
    /// The index of a buffer for one tensor, as large as what calls see of it.
    fn add_buffer(&mut self) -> usize {
        self.buffers.push(PlanBuffer { name: None, bytes: 0 });
        self.buffers.len() - 1
    }

    /// The local tensors of a lowering, with a buffer for each of its scratch tensors.
    fn place_locals(&mut self, locals: Vec<Local>) -> Vec<(Local, Option<usize>)> {
        let place = |local: Local| {
            let buffer = match &local {
                Local::Scratch(_) => Some(self.add_buffer()),
                Local::Part { .. } => None,
            };
            (local, buffer)
        };
        locals.into_iter().map(place).collect()
    }

    fn place(&mut self, call: Call, scope: &str, locals: &[(Local, Option<usize>)]) -> Result<PlannedCall> {
        let kernel = call.kernel;
        let broken = |rule: String| Error::Lowering { label: scope.to_owned(), call: kernel.name, rule };
        if call.arguments.len() != kernel.bindings.len() {
            return Err(broken(format!("{} tensors for {} bindings", call.arguments.len(), kernel.bindings.len())));
        }
        let mut arguments: Vec<Argument> = Vec::with_capacity(call.arguments.len());
        for (&tensor, binding) in call.arguments.iter().zip(kernel.bindings) {
            let Some((buffer, offset, ty)) = self.locate(tensor, locals) else {
                let rule = "is not computed before, or is not a tensor of this graph and node";
                return Err(broken(format!("`{}` {rule}", binding.name)));
            };
            let (bytes, limit) = (ty.bytes(), self.limits.max_binding_bytes);
            if bytes > limit {
                let label = scope.to_owned();
                return Err(Error::TooLarge { label, call: kernel.name, tensor: binding.name, bytes, limit });
            }
            let bytes = match binding.access {
                Access::Read => (bytes.next_multiple_of(16) + READ_PAST).min(limit),
                Access::ReadWrite => bytes,
            };
            self.buffers[buffer].bytes = self.buffers[buffer].bytes.max(offset + bytes);
            arguments.push(Argument { buffer, offset, bytes, ty });
        }
        check_arguments(kernel, &arguments, self.limits).map_err(broken)?;
        if exceeds_workgroups(call.workgroups, self.limits) {
            let (label, limit) = (scope.to_owned(), self.limits.max_workgroups);
            return Err(Error::TooManyWorkgroups { label, call: kernel.name, workgroups: call.workgroups, limit });
        }
        debug_assert!(
            kernel.bindings.iter().any(|binding| binding.access == Access::ReadWrite),
            "{} writes nothing",
            kernel.name
        );
        let Call { overrides, params, workgroups, flops, .. } = call;
        let scope = scope.to_owned();
        let descriptor = CallDescriptor { scope, kernel, arguments, overrides, params, workgroups, flops };
        Ok(PlannedCall { descriptor })
    }

    /// Buffer, offset in bytes and type of a tensor of the graph or of a lowering.
    fn locate(&self, tensor: Tensor, locals: &[(Local, Option<usize>)]) -> Option<(usize, u64, TensorType)> {
        if tensor.graph != self.graph.id() {
            return None;
        }
        if let Some(local) = tensor.index().checked_sub(self.graph.tensor_count()) {
            return match locals.get(local)? {
                (Local::Scratch(ty), buffer) => Some(((*buffer)?, 0, ty.clone())),
                (Local::Part { of, first_byte, ty }, _) => {
                    let (buffer, offset, _) = self.locate(*of, locals)?;
                    Some((buffer, offset + first_byte, ty.clone()))
                }
            };
        }
        let ty = self.graph.ty(tensor).clone();
        match self.graph.storage(tensor) {
            Storage::Persistent { buffer, offset } => Some((buffer.index(), offset, ty)),
            _ => Some((self.buffer_of[self.graph.base(tensor).index()]?, 0, ty)),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |index: usize| match &self.buffers[index].name {
            Some(name) => name.clone(),
            None => format!("slot {index}"),
        };
        writeln!(f, "{:<20} {:<34} {:>14} {:>9}  arguments", "node", "kernel", "workgroups", "MFLOP")?;
        for call in &self.calls {
            let [x, y, z] = call.workgroups;
            let arguments: Vec<String> = call
                .kernel
                .bindings
                .iter()
                .zip(&call.arguments)
                .map(|(binding, argument)| {
                    let arrow = if binding.access == Access::Read { "" } else { "-> " };
                    let at = if argument.offset > 0 { format!("+{}", argument.offset) } else { String::new() };
                    format!("{arrow}{}: {} {}{at}", binding.name, argument.ty, name(argument.buffer))
                })
                .collect();
            let workgroups = format!("{x}x{y}x{z}");
            let mflop = call.flops as f64 / 1e6;
            writeln!(
                f,
                "{:<20} {:<34} {workgroups:>14} {mflop:>9.2}  {}",
                call.scope,
                call.kernel.name,
                arguments.join(", ")
            )?;
        }
        for (index, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "{:<20} {} bytes", name(index), buffer.bytes)?;
        }
        Ok(())
    }
}
