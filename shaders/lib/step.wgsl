// What differs between two runs of one program.
struct Step {
    first: u32,         // where in the epoch's order the batch starts, in samples
    row: u32,           // the row of the metrics buffer that this step writes
    learning_rate: f32, // the optimizer's step size, schedules and bias corrections included
}

@group(1) @binding(0) var<uniform> step: Step;
