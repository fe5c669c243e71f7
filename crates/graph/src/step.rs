//! What differs between two runs of one program.

/// What differs between two runs of one program. Kernels see it as `struct Step` of `shaders/lib/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Where in the epoch's order the batch starts, in samples.
    pub first: u32,
    /// The row of the metrics buffer that this step writes.
    pub row: u32,
    /// What the step's random draws depend on, beside their place.
    pub key: [u32; 2],
    /// What the optimizer makes of its learning rate for this step, schedules and bias corrections included: one step
    /// size in most, up to four figures in some.
    pub rates: [f32; 4],
    /// The learning rate itself, which weight decay depends on.
    pub learning_rate: f32,
    /// The number of training steps before this one.
    pub iteration: u32,
    /// The place of the first sample within its whole batch: 0, but in shards of a batch whose gradients are accumulated.
    pub place: u32,
    /// Which shard of the whole batch this is, the first being 0.
    pub shard: u32,
    /// How many shards the whole batch has; 0 and 1 both mean that it is computed at once.
    pub shards: u32,
    /// Padding, up to a uniform's multiple of 16 bytes.
    pub padding: u32,
    /// More of it.
    pub more_padding: [u32; 2],
}
