//! A compiled plan: prebuilt state for recording runs.

use std::num::NonZeroU64;
use std::sync::Arc;

use kiln_graph::{DeviceBuffer, DeviceError, Pending, Plan, PlannedCall, Program, ReadBack, Step};

use crate::buffer::{GpuBuffer, source};
use crate::context::Context;
use crate::pending::GpuPending;
use crate::pipeline::{Pipeline, Pipelines, uniform_bytes};

#[derive(Debug)]
pub(crate) struct GpuProgram {
    context: Arc<Context>,
    calls: Vec<ReadyCall>,
    steps: Option<StepBuffer>,
}

/// A dispatch with its pipeline and bind group.
#[derive(Debug)]
struct ReadyCall {
    pipeline: wgpu::ComputePipeline,
    group: wgpu::BindGroup,
    workgroups: [u32; 3],
}

impl GpuProgram {
    pub(crate) async fn new(
        context: &Arc<Context>,
        plan: &Plan,
        buffers: &[Arc<dyn DeviceBuffer>],
    ) -> Result<GpuProgram, DeviceError> {
        let buffers = check(context, plan, buffers)?;
        let pipelines = Pipelines::of(context, &plan.calls).await?;
        let params = Params::new(context, &plan.calls)?;
        let mut calls = Vec::with_capacity(plan.calls.len());
        for ((index, call), pipeline) in plan.calls.iter().enumerate().zip(&pipelines) {
            let group = bind(context, call, pipeline, &buffers, params.binding(index, call))?;
            calls.push(ReadyCall { pipeline: pipeline.raw.clone(), group, workgroups: call.workgroups });
        }
        let steps =
            if plan.calls.iter().any(|call| call.kernel.step) { Some(StepBuffer::new(context, 1)?) } else { None };
        context.flush()?;
        Ok(GpuProgram { context: context.clone(), calls, steps })
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Writes `steps` for the kernels that read them.
    pub(crate) fn set_steps(&mut self, steps: &[Step]) -> Result<(), DeviceError> {
        let Some(buffer) = &mut self.steps else { return Ok(()) };
        if steps.len() > buffer.capacity {
            *buffer = StepBuffer::new(&self.context, steps.len().next_power_of_two())?;
        }
        buffer.write(&self.context, steps)
    }

    /// Records calls of one step, for which [`GpuProgram::set_steps`] was called.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, step: usize, calls: std::ops::Range<usize>) {
        if let Some(buffer) = &self.steps {
            pass.set_bind_group(1, &buffer.group, &[buffer.offset(step)]);
        }
        let mut current = None;
        for call in self.calls.get(calls).unwrap_or_default() {
            if current != Some(&call.pipeline) {
                pass.set_pipeline(&call.pipeline);
                current = Some(&call.pipeline);
            }
            pass.set_bind_group(0, &call.group, &[]);
            let [x, y, z] = call.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

impl Program for GpuProgram {
    fn run(&mut self, steps: &[Step], read_back: Option<ReadBack<'_>>) -> Result<Box<dyn Pending>, DeviceError> {
        let source = source(read_back, &self.context)?;
        self.set_steps(steps)?;
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some("run") };
        let encoder = self.context.attempt("run", || {
            let mut encoder = self.context.device.create_command_encoder(&descriptor);
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for step in 0..steps.len() {
                self.record(&mut pass, step, 0..self.calls.len());
            }
            drop(pass);
            encoder
        })?;
        Ok(Box::new(GpuPending::submit(&self.context, encoder, source)?))
    }
}

/// Validates the plan, and downcasts its buffers.
fn check<'a>(
    context: &Arc<Context>,
    plan: &Plan,
    buffers: &'a [Arc<dyn DeviceBuffer>],
) -> Result<Vec<&'a GpuBuffer>, DeviceError> {
    let bytes: Vec<u64> = buffers.iter().map(|buffer| buffer.bytes()).collect();
    plan.check(&bytes, &context.info.limits).map_err(|rule| context.invalid(rule))?;
    buffers.iter().map(|buffer| GpuBuffer::of(buffer, context)).collect()
}

fn bind(
    context: &Context,
    call: &PlannedCall,
    pipeline: &Pipeline,
    buffers: &[&GpuBuffer],
    params: Option<wgpu::BindGroupEntry<'_>>,
) -> Result<wgpu::BindGroup, DeviceError> {
    let mut entries: Vec<wgpu::BindGroupEntry<'_>> = call
        .kernel
        .bindings
        .iter()
        .zip(&call.arguments)
        .map(|(binding, argument)| wgpu::BindGroupEntry {
            binding: binding.binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: buffers[argument.buffer].wgpu_buffer(),
                offset: argument.offset,
                size: NonZeroU64::new(argument.bound_bytes()),
            }),
        })
        .collect();
    entries.extend(params);
    let label = Some(call.kernel.name);
    let descriptor = wgpu::BindGroupDescriptor { label, layout: &pipeline.group, entries: &entries };
    context.attempt(call.kernel.name, || context.device.create_bind_group(&descriptor))
}

/// The parameters of all calls in one uniform buffer.
struct Params {
    buffer: Option<wgpu::Buffer>,
    /// Where each call's parameters start, in bytes.
    offsets: Vec<u64>,
}

impl Params {
    fn new(context: &Context, calls: &[PlannedCall]) -> Result<Params, DeviceError> {
        let align = context.limits.min_uniform_buffer_offset_alignment as usize;
        let mut bytes = Vec::new();
        let mut offsets = Vec::with_capacity(calls.len());
        for call in calls {
            offsets.push(bytes.len() as u64);
            bytes.extend_from_slice(&call.params);
            bytes.resize(bytes.len().next_multiple_of(align.max(16)), 0);
        }
        if bytes.is_empty() {
            return Ok(Params { buffer: None, offsets });
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = context.buffer("parameters of all calls", bytes.len() as u64, usage)?;
        context.attempt("write parameters", || context.queue.write_buffer(&buffer, 0, &bytes))?;
        Ok(Params { buffer: Some(buffer), offsets })
    }

    fn binding(&self, index: usize, call: &PlannedCall) -> Option<wgpu::BindGroupEntry<'_>> {
        let params = call.kernel.params?;
        Some(wgpu::BindGroupEntry {
            binding: params.binding,
            resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer: self.buffer.as_ref()?,
                offset: self.offsets[index],
                size: NonZeroU64::new(uniform_bytes(u64::from(params.bytes))),
            }),
        })
    }
}

/// One [`Step`] per record of a uniform buffer; a dynamic offset chooses the record.
#[derive(Debug)]
struct StepBuffer {
    raw: wgpu::Buffer,
    group: wgpu::BindGroup,
    /// In steps.
    capacity: usize,
    /// From one record to the next, in bytes.
    stride: usize,
    /// The bytes to write, reused.
    bytes: Vec<u8>,
}

impl StepBuffer {
    fn new(context: &Context, capacity: usize) -> Result<StepBuffer, DeviceError> {
        let record = uniform_bytes(size_of::<Step>() as u64);
        let stride = record.next_multiple_of(u64::from(context.limits.min_uniform_buffer_offset_alignment)) as usize;
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let raw = context.buffer("steps", (capacity * stride) as u64, usage)?;
        let layout = context.pipelines.step_layout(context)?;
        let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &raw,
            offset: 0,
            size: NonZeroU64::new(record),
        });
        let entries = [wgpu::BindGroupEntry { binding: 0, resource }];
        let descriptor = wgpu::BindGroupDescriptor { label: Some("step"), layout, entries: &entries };
        let group = context.attempt("step", || context.device.create_bind_group(&descriptor))?;
        Ok(StepBuffer { raw, group, capacity, stride, bytes: vec![0; capacity * stride] })
    }

    /// Earlier runs are not affected: wgpu executes a write on the queue, after all earlier submissions and before the
    /// next one, with a barrier between.
    fn write(&mut self, context: &Context, steps: &[Step]) -> Result<(), DeviceError> {
        for (record, step) in self.bytes.chunks_exact_mut(self.stride).zip(steps) {
            record[..size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(step));
        }
        let used = &self.bytes[..steps.len() * self.stride];
        context.attempt("write steps", || context.queue.write_buffer(&self.raw, 0, used))
    }

    fn offset(&self, step: usize) -> u32 {
        (step * self.stride) as u32
    }
}
