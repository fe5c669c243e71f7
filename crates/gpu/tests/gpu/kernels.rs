//! Kernels as kiln-build emits them, and plans of them, written by hand.

use kiln_graph::{
    Access, Argument, Binding, CallDescriptor, Kernel, KernelDescriptor, Plan, PlanBuffer, PlannedCall, TensorType,
    Uniform,
};

const fn kernel(name: &'static str, source: &'static str, bindings: &'static [Binding]) -> Kernel {
    Kernel::new(descriptor(name, source, bindings))
}

const fn descriptor(name: &'static str, source: &'static str, bindings: &'static [Binding]) -> KernelDescriptor {
    KernelDescriptor {
        name,
        source,
        entry_point: "main",
        workgroup_size: [64, 1, 1],
        bindings,
        params: None,
        step: false,
        workgroup_memory: 0,
    }
}

const fn binding(name: &'static str, binding: u32, access: Access) -> Binding {
    Binding { name, binding, access, align: 4 }
}

const X_TO_Y: &[Binding] = &[binding("x", 0, Access::Read), binding("y", 1, Access::ReadWrite)];

/// y = 2 x
pub static DOUBLE: Kernel = kernel(
    "double.main",
    "@group(0) @binding(0) var<storage, read> x: array<f32>;
     @group(0) @binding(1) var<storage, read_write> y: array<f32>;
     @compute @workgroup_size(64)
     fn main(@builtin(global_invocation_id) id: vec3u) {
         if id.x < arrayLength(&y) { y[id.x] = 2.0 * x[id.x]; }
     }",
    X_TO_Y,
);

/// y = factor x + offset, `factor` an override, `offset` a parameter
pub static AFFINE: Kernel = Kernel::new(KernelDescriptor {
    params: Some(Uniform { binding: 2, bytes: 8 }),
    ..descriptor(
        "affine.main",
        "struct Params { count: u32, offset: f32 }
         override factor: f32;
         @group(0) @binding(0) var<storage, read> x: array<f32>;
         @group(0) @binding(1) var<storage, read_write> y: array<f32>;
         @group(0) @binding(2) var<uniform> params: Params;
         @compute @workgroup_size(64)
         fn main(@builtin(global_invocation_id) id: vec3u) {
             if id.x < params.count { y[id.x] = factor * x[id.x] + params.offset; }
         }",
        X_TO_Y,
    )
});

/// w = w - rate * (first + 1), and row `row` of w's second half holds `first`
pub static DESCEND: Kernel = Kernel::new(KernelDescriptor {
    step: true,
    ..descriptor(
        "descend.main",
        "struct Step { first: u32, row: u32, key: vec2u, rates: vec4f }
         @group(0) @binding(0) var<storage, read_write> w: array<f32>;
         @group(0) @binding(1) var<storage, read_write> rows: array<f32>;
         @group(1) @binding(0) var<uniform> step: Step;
         @compute @workgroup_size(64)
         fn main(@builtin(global_invocation_id) id: vec3u) {
             if id.x < arrayLength(&w) { w[id.x] -= step.rates.x * f32(step.first + 1u); }
             if id.x == 0u { rows[step.row] = f32(step.first); }
         }",
        &[binding("w", 0, Access::ReadWrite), binding("rows", 1, Access::ReadWrite)],
    )
});

/// Reads and writes past the end.
pub static OUT_OF_BOUNDS: Kernel = kernel(
    "out_of_bounds.main",
    "@group(0) @binding(0) var<storage, read> x: array<f32>;
     @group(0) @binding(1) var<storage, read_write> y: array<f32>;
     @compute @workgroup_size(64)
     fn main(@builtin(global_invocation_id) id: vec3u) {
         y[id.x + 1000000u] = x[id.x + 1000000u];
     }",
    X_TO_Y,
);

/// y = x for every invocation: the bindings of the call decide which read or write past their end.
pub static COPY: Kernel = kernel(
    "copy.main",
    "@group(0) @binding(0) var<storage, read> x: array<u32>;
     @group(0) @binding(1) var<storage, read_write> y: array<u32>;
     @compute @workgroup_size(64)
     fn main(@builtin(global_invocation_id) id: vec3u) {
         y[id.x] = x[id.x];
     }",
    X_TO_Y,
);

const SHIFT_SOURCE: &str = "
    struct Params { shift: u32, written: u32 }
    var<workgroup> shared_words: array<u32, 64>;
    @group(0) @binding(0) var<storage, read> x: array<u32>;
    @group(0) @binding(1) var<storage, read_write> y: array<u32>;
    @group(0) @binding(2) var<uniform> params: Params;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) local: u32) {
        if local < params.written { shared_words[local] = x[local]; }
        workgroupBarrier();
        y[id.x] = shared_words[local + params.shift];
    }";

const fn shift(name: &'static str) -> Kernel {
    Kernel::new(KernelDescriptor {
        params: Some(Uniform { binding: 2, bytes: 8 }),
        workgroup_memory: 256,
        ..descriptor(name, SHIFT_SOURCE, X_TO_Y)
    })
}

/// y[i] = w[i + shift] of 64 words of workgroup memory w, whose first `written` words hold x
pub static SHIFT: Kernel = shift("shift.main");

/// [`SHIFT`] with the same source, but trusted.
// SAFETY: the tests call it with a shift of 0, 64 written words and 64 words of x and y.
pub static TRUSTED_SHIFT: Kernel = unsafe { shift("trusted_shift.main").trusted() };

/// Not WGSL.
pub static BROKEN: Kernel = kernel("broken.main", "fn main() { let x = undeclared; }", X_TO_Y);

/// A buffer of a plan with a name, for `count` floats.
pub fn named(name: &str, count: u64) -> PlanBuffer {
    PlanBuffer { name: Some(name.to_owned()), bytes: 4 * count }
}

/// `count` floats at the start of buffer `buffer`.
pub fn floats(buffer: usize, count: usize) -> Argument {
    Argument { buffer, offset: 0, bytes: 4 * count as u64, ty: TensorType::f32([count]) }
}

/// A call of a kernel without overrides and parameters.
pub fn call(kernel: &'static Kernel, arguments: Vec<Argument>) -> CallDescriptor {
    CallDescriptor {
        scope: "test".to_owned(),
        kernel,
        arguments,
        overrides: Vec::new(),
        params: Vec::new(),
        workgroups: [4, 1, 1],
        flops: 0,
    }
}

/// The calls of a plan.
pub fn planned(calls: Vec<CallDescriptor>) -> Vec<PlannedCall> {
    // SAFETY: calls of trusted kernels have the sizes of their arguments.
    calls.into_iter().map(|call| unsafe { PlannedCall::new(call) }).collect()
}

/// A call of [`AFFINE`].
pub fn affine(arguments: Vec<Argument>, factor: f64, count: u32, offset: f32) -> CallDescriptor {
    let params = [count.to_le_bytes(), offset.to_le_bytes()].concat();
    CallDescriptor { overrides: vec![("factor", factor)], params, ..call(&AFFINE, arguments) }
}

/// One call that doubles `x` into `y`, `count` floats each.
pub fn double(count: usize) -> Plan {
    let buffers = vec![named("x", count as u64), named("y", count as u64)];
    Plan { buffers, calls: planned(vec![call(&DOUBLE, vec![floats(0, count), floats(1, count)])]), ..Plan::default() }
}

/// One call of [`DESCEND`] over `count` weights and `rows` rows.
pub fn descend(count: usize, rows: usize) -> Plan {
    let buffers = vec![named("w", count as u64), named("rows", rows as u64)];
    Plan { buffers, calls: planned(vec![call(&DESCEND, vec![floats(0, count), floats(1, rows)])]), ..Plan::default() }
}

/// A call of a [`SHIFT`] from 64 words of buffer 0 to 64 words of buffer 1.
pub fn shift_call(kernel: &'static Kernel, shift: u32, written: u32) -> CallDescriptor {
    let params = [shift.to_le_bytes(), written.to_le_bytes()].concat();
    CallDescriptor { params, workgroups: [1, 1, 1], ..call(kernel, vec![floats(0, 64), floats(1, 64)]) }
}
