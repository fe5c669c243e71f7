//! The parameters that differ between runs of a program.

/// The parameters that differ between runs of a program. In kernels: `struct Step` of `shaders/lib/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// The index of the batch's first sample in the epoch's order.
    pub first: u32,
    /// The row of the metrics buffer that this step writes.
    pub row: u32,
    /// The key of the step's random draws.
    pub key: [u32; 2],
    /// The optimizer's rates for this step, including schedules and bias corrections: one step size for most optimizers,
    /// up to four numbers for some.
    pub rates: [f32; 4],
    /// The learning rate itself, which weight decay depends on.
    pub learning_rate: f32,
    /// The number of training steps before this one.
    pub iteration: u32,
    /// The index of the first sample within its whole batch: 0, except in shards with gradient accumulation.
    pub place: u32,
    /// The index of the shard within the whole batch, starting at 0.
    pub shard: u32,
    /// The number of shards of the whole batch; 0 and 1 both mean that it is computed at once.
    pub shards: u32,
    /// Padding, up to a uniform's multiple of 16 bytes.
    pub padding: u32,
    /// More of it.
    pub more_padding: [u32; 2],
}
