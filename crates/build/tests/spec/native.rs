//! A construct that cannot be translated to native code is a build error with its name and place.

use kiln_build::{Diagnostic, Error};

use crate::build;

fn kernel(declarations: &str, body: &str) -> String {
    format!(
        "{declarations}
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
override n: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    let i = id.x;
    {body}
    y[i] = 1.0;
}}
"
    )
}

fn mistakes(files: &[(&str, &str)]) -> Vec<Diagnostic> {
    match build(files) {
        Err(Error::Shaders { diagnostics }) => diagnostics,
        other => panic!("{other:?}"),
    }
}

/// Asserts that a kernel with these declarations and this body is refused because of `construct`, with the carets below
/// `at`.
#[track_caller]
fn assert_untranslatable(declarations: &str, body: &str, construct: &str, at: &str) {
    let text = kernel(declarations, body);
    let found = mistakes(&[("a.wgsl", &text)]);
    assert_eq!(found.len(), 1, "{found:?}");
    let label = &found[0].labels[0];
    let marked: String = label.text.chars().skip(label.column - 1).take(label.width).collect();
    let message = format!("{construct} cannot be translated to native code");
    assert_eq!(found[0].message, message);
    assert!(marked.starts_with(at), "expected `{at}`:\n{}", found[0]);
    assert_eq!(text.lines().nth(label.line - 1), Some(label.text.as_str()));
}

#[test]
fn the_message_is_as_all_others() {
    let found = mistakes(&[("a.wgsl", &kernel("var<workgroup> hits: atomic<u32>;", "atomicAdd(&hits, 1u);"))]);

    let expected = "
error: an atomic operation cannot be translated to native code
 --> a.wgsl:7:5
  |
7 |     atomicAdd(&hits, 1u);
  |     ^^^^^^^^^ not supported
";
    assert_eq!(found[0].to_string(), expected.trim());
}

#[test]
fn atomics() {
    let hits = "var<workgroup> hits: atomic<u32>;";
    assert_untranslatable(hits, "if i > 3u { atomicMax(&hits, 1u); }", "an atomic operation", "atomicMax");
    assert_untranslatable(hits, "y[0] = f32(atomicAdd(&hits, 1u));", "an atomic operation", "atomicAdd");
}

#[test]
fn private_variables() {
    let kept = "var<private> kept: f32;";
    assert_untranslatable(kept, "kept = 2.0;", "a private variable", kept);
}

#[test]
fn barriers_where_invocations_part() {
    let construct = "control flow that differs between invocations, around or before a barrier,";
    assert_untranslatable("", "if y[i] > 0.0 { workgroupBarrier(); }", construct, "if y[i] > 0.0 {");
    assert_untranslatable("", "if y[i] > 0.0 { return; }\nworkgroupBarrier();", construct, "if y[i] > 0.0 {");
}

#[test]
fn barriers_in_a_switch_and_in_functions() {
    let construct = "a `switch` with a barrier in it, or before one that it leaves,";
    let body = "switch n { case 1u: { workgroupBarrier(); } default: {} }";
    assert_untranslatable("", body, construct, "switch n {");
    let construct = "a barrier in a function that an entry point calls";
    assert_untranslatable("fn wait() {\n    workgroupBarrier();\n}", "wait();", construct, "workgroupBarrier");
}

#[test]
fn loads_for_a_whole_workgroup() {
    let at = "workgroupUniformLoad";
    let body = "let k = workgroupUniformLoad(&m);";
    assert_untranslatable("var<workgroup> m: u32;", body, "`workgroupUniformLoad`", at);
}

#[test]
fn breaks_by_which_some_invocations_leave_a_switch() {
    let construct = "a `break` by which only some invocations leave a `switch`";
    for selector in ["i", "n"] {
        let body =
            format!("switch {selector} {{ case 1u: {{ if y[i] > 2.0 {{ break; }} y[i] = 3.0; }} default: {{}} }}");
        assert_untranslatable("", &body, construct, "break;");
    }
}

#[test]
fn functions_that_have_no_translation() {
    let construct = "the function `pack4x8unorm`";
    assert_untranslatable("", "y[pack4x8unorm(vec4f(f32(i)))] = 2.0;", construct, "pack4x8unorm");
}

#[test]
fn overrides_with_a_computed_default() {
    let twice = "override twice: u32 = 2u * n;";
    assert_untranslatable(twice, "y[twice] = 2.0;", "an override whose default is computed", &twice[..twice.len() - 1]);
}

#[test]
fn pointers_to_elements_that_differ() {
    let double = "fn double(x: ptr<function, f32>) { *x *= 2.0; }";
    let body = "var a: array<f32, 4>; double(&a[i]); y[0] = a[1];";
    assert_untranslatable(double, body, "a pointer to this as an argument", "a[i]");
}

#[test]
fn large_arrays_by_value() {
    let big = "@group(0) @binding(1) var<storage> big: array<f32, 100>;";
    let construct = "loading an array of more than 64 elements at once";
    assert_untranslatable(big, "var a = big; y[0] = a[i];", construct, "big");
}

#[test]
fn what_needs_more_than_every_device_has() {
    for (declarations, body) in [
        ("enable f16;", "y[0] = f32(f16(y[i]));"),
        ("", "let x: f16 = 1.0h;"),
        ("", "y[0] = subgroupAdd(y[i]);"),
        ("@group(0) @binding(1) var image: texture_2d<f32>;", "y[0] = textureLoad(image, vec2(0), 0).x;"),
    ] {
        assert!(!mistakes(&[("a.wgsl", &kernel(declarations, body))])[0].labels.is_empty());
    }
}

#[test]
fn f16_is_for_kernels_with_cooperative_matrices_that_only_gpus_run() {
    let text = kernel("enable f16;", "y[0] = f32(f16(y[i]));").replace("@compute", "#gpu_only\n@compute");
    assert_eq!(mistakes(&[("a.wgsl", &text)]).len(), 1);
    let cooperative = text.replace("enable f16;", "enable f16;\nenable wgpu_cooperative_matrix;");
    assert!(build(&[("a.wgsl", &cooperative)]).is_ok());
}

#[test]
fn every_shader_with_such_a_construct_is_reported() {
    let text = kernel("var<private> kept: f32;", "kept = 1.0;");

    assert_eq!(mistakes(&[("a.wgsl", &text), ("b.wgsl", &text)]).len(), 2);
}
