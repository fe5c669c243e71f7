// The parameters that differ between runs of a program.
struct Step {
    first: u32,         // where in the epoch's order the batch starts, in samples
    row: u32,           // the row of the metrics buffer that this step writes
    key: vec2u,         // what the step's random draws depend on, beside their place
    rates: vec4f,       // the optimizer's rates for this step; most use only x
    learning_rate: f32, // the learning rate itself
    iteration: u32,     // the number of training steps before this one
    place: u32,         // the place of the first sample within its whole batch
    shard: u32,         // which shard of the whole batch this is
    shards: u32,        // how many shards the whole batch has; 0 as 1
    padding: u32,
    more_padding: vec2u,
}

@group(1) @binding(0) var<uniform> step: Step;
