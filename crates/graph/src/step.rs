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
    /// Fills a uniform's multiple of 16 bytes.
    pub unused: [u32; 2],
}
