//! The time of each call of a plan.

use std::sync::Arc;
use std::time::Instant;

use kiln_graph::{CallTime, DeviceBuffer, DeviceError, Plan, Profile, Step, Timing};

use crate::buffer::GpuBuffer;
use crate::context::Context;
use crate::device::GpuDevice;
use crate::pending::GpuPending;
use crate::program::GpuProgram;

/// wgpu's largest set has 4096 queries: two per call.
const CALLS_PER_SET: usize = 2048;

impl GpuDevice {
    /// As [`Device::profile_async`](kiln_graph::Device::profile_async).
    pub(crate) async fn time_calls(
        &self,
        plan: &Plan,
        buffers: &[Arc<dyn DeviceBuffer>],
        steps: &[Step],
    ) -> Result<Profile, DeviceError> {
        let mut program = GpuProgram::new(&self.context, plan, buffers).await?;
        program.set_steps(steps)?;
        let mut clock = Clock::new(&self.context, plan.calls.len())?;
        let warm_up = usize::from(steps.len() > 1);
        let mut sums = vec![0.0; plan.calls.len()];
        for step in 0..steps.len() {
            let seconds = clock.time(&program, step).await?;
            if step >= warm_up {
                sums.iter_mut().zip(seconds).for_each(|(sum, seconds)| *sum += seconds);
            }
        }
        let measured = (steps.len() - warm_up).max(1) as f64;
        let calls = plan.calls.iter().zip(sums).map(|(call, sum)| CallTime::new(call, sum / measured));
        Ok(Profile { timing: clock.timing(), calls: calls.collect() })
    }
}

struct Clock {
    context: Arc<Context>,
    /// `None` if the device has no clock of its own.
    queries: Option<(wgpu::QuerySet, GpuBuffer, wgpu::Buffer)>,
}

impl Clock {
    fn new(context: &Arc<Context>, calls: usize) -> Result<Clock, DeviceError> {
        let context = context.clone();
        if !context.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) || calls == 0 {
            return Ok(Clock { context, queries: None });
        }
        let count = 2 * calls.min(CALLS_PER_SET) as u32;
        let descriptor = wgpu::QuerySetDescriptor { label: Some("times"), ty: wgpu::QueryType::Timestamp, count };
        let set = context.attempt("times", || context.device.create_query_set(&descriptor))?;
        let bytes = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = context.buffer("times", bytes, usage)?;
        let readable = GpuBuffer::new(&context, "times", bytes)?;
        Ok(Clock { context, queries: Some((set, readable, resolved)) })
    }

    fn timing(&self) -> Timing {
        if self.queries.is_some() { Timing::Timestamps } else { Timing::WallClock }
    }

    /// The seconds of each call of one step.
    async fn time(&mut self, program: &GpuProgram, step: usize) -> Result<Vec<f64>, DeviceError> {
        let mut seconds = Vec::with_capacity(program.len());
        let at_once = if self.queries.is_some() { CALLS_PER_SET } else { 1 };
        for first in (0..program.len()).step_by(at_once) {
            let calls = first..program.len().min(first + at_once);
            let encoder = self.record(program, step, calls.clone())?;
            match &self.queries {
                Some((_, readable, _)) => {
                    let bytes = 2 * calls.len() as u64 * u64::from(wgpu::QUERY_SIZE);
                    let pending = GpuPending::submit(&self.context, encoder, Some((readable, 0, bytes)))?;
                    let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&pending.await?);
                    let period = f64::from(self.context.queue.get_timestamp_period()) * 1e-9;
                    seconds.extend(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * period));
                }
                None => {
                    let start = Instant::now();
                    GpuPending::submit(&self.context, encoder, None)?.await?;
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
        }
        Ok(seconds)
    }

    /// One pass per call, so that each has its own pair of times.
    fn record(
        &self,
        program: &GpuProgram,
        step: usize,
        calls: std::ops::Range<usize>,
    ) -> Result<wgpu::CommandEncoder, DeviceError> {
        self.context.attempt("profile", || {
            let mut encoder = self.context.device.create_command_encoder(&Default::default());
            for (place, call) in calls.clone().enumerate() {
                let timestamp_writes = self.queries.as_ref().map(|(query_set, ..)| wgpu::ComputePassTimestampWrites {
                    query_set,
                    beginning_of_pass_write_index: Some(2 * place as u32),
                    end_of_pass_write_index: Some(2 * place as u32 + 1),
                });
                let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
                program.record(&mut encoder.begin_compute_pass(&descriptor), step, call..call + 1);
            }
            if let Some((set, readable, resolved)) = &self.queries {
                encoder.resolve_query_set(set, 0..2 * calls.len() as u32, resolved, 0);
                encoder.copy_buffer_to_buffer(resolved, 0, readable.wgpu_buffer(), 0, resolved.size());
            }
            encoder
        })
    }
}
