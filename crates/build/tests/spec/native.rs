//! What cannot be translated to native code is a build error with its place.

use crate::build;

/// A kernel with these declarations and this body cannot be translated, and this is said about it.
#[track_caller]
fn assert_untranslatable(declarations: &str, body: &str, expected: &str) {
    let text = format!(
        "{declarations}
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    let i = id.x;
{body}
    y[i] = 1.0;
}}
"
    );
    let found = build(&[("a.wgsl", &text)]).unwrap_err().to_string();
    assert_eq!(found, expected.trim(), "\nfound:\n{found}\n");
}

#[test]
fn atomics() {
    assert_untranslatable(
        "var<workgroup> hits: atomic<u32>;",
        "    if i > 3u {
        atomicAdd(&hits, 1u);
    }",
        "?",
    );
    assert_untranslatable("var<workgroup> hits: atomic<u32>;", "    let before = atomicLoad(&hits);", "?");
}

#[test]
fn private_variables() {
    assert_untranslatable("var<private> kept: f32;", "    kept = 2.0;", "?");
}

#[test]
fn barriers_where_invocations_part() {
    assert_untranslatable("", "    if y[i] > 0.0 {
        workgroupBarrier();
    }", "?");
    assert_untranslatable("", "    while y[i] > 0.0 {
        storageBarrier();
    }", "?");
    assert_untranslatable("", "    if y[i] > 0.0 {
        return;
    }
    workgroupBarrier();", "?");
}

#[test]
fn barriers_in_a_switch() {
    assert_untranslatable("override n: u32;", "    switch n {
        case 1u: { workgroupBarrier(); }
        default: {}
    }", "?");
}

#[test]
fn barriers_in_functions() {
    assert_untranslatable("fn wait() {
    workgroupBarrier();
}", "    wait();", "?");
}

#[test]
fn loads_for_a_whole_workgroup() {
    assert_untranslatable("var<workgroup> n: u32;", "    let k = workgroupUniformLoad(&n);", "?");
}

#[test]
fn breaks_by_which_some_invocations_leave_a_switch() {
    assert_untranslatable("", "    switch i {
        case 1u: {
            if y[i] > 2.0 { break; }
            y[i] = 3.0;
        }
        default: {}
    }", "?");
    assert_untranslatable("override n: u32;", "    switch n {
        case 1u: {
            if y[i] > 2.0 { break; }
            y[i] = 3.0;
        }
        default: {}
    }", "?");
}

#[test]
fn functions_that_have_no_translation() {
    assert_untranslatable("", "    let bits = firstLeadingBit(i);
    y[bits] = 2.0;", "?");
    assert_untranslatable("", "    let packed = pack4x8unorm(vec4f(y[i]));
    y[packed] = 2.0;", "?");
    assert_untranslatable("", "    y[0] = frexp(y[i]).fract;", "?");
}

#[test]
fn overrides_with_a_computed_default() {
    assert_untranslatable("override n: u32 = 3u;
override twice: u32 = 2u * n;", "    y[twice] = 2.0;", "?");
}

#[test]
fn subgroups() {
    assert_untranslatable("", "    y[0] = subgroupAdd(y[i]);", "?");
    assert_untranslatable("", "    subgroupBarrier();", "?");
}

#[test]
fn half_floats() {
    assert_untranslatable("enable f16;", "    y[0] = f32(f16(y[i]));", "?");
    assert_untranslatable("", "    let x: f16 = 1.0h;", "?");
}

#[test]
fn quantities_of_lanes_that_kernels_are_not_given() {
    let text = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(subgroup_size) size: u32) {
    y[0] = f32(size);
}";
    let found = build(&[("a.wgsl", text)]).unwrap_err().to_string();
    assert_eq!(found, "?");
}

#[test]
fn pointers_to_parts_of_what_differs() {
    assert_untranslatable("fn double(x: ptr<function, f32>) {
    *x *= 2.0;
}", "    var a: array<f32, 4>;
    double(&a[i]);
    y[0] = a[1];", "?");
}

#[test]
fn large_arrays_by_value() {
    assert_untranslatable("@group(0) @binding(1) var<storage> big: array<f32, 100>;", "    var a = big;
    y[0] = a[i];", "?");
}

#[test]
fn every_shader_with_such_a_construct_is_reported() {
    let text = "var<private> kept: f32;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64)
fn main() {
    kept = 1.0;
    y[0] = kept;
}";
    let found = build(&[("a.wgsl", text), ("b.wgsl", text)]).unwrap_err().to_string();
    assert_eq!(found.matches("a private variable").count(), 2, "{found}");
}
