use kiln_build::{EntryPoint, Shader};

use crate::{kernel, shader};

fn entry_point<'a>(shader: &'a Shader, name: &str) -> &'a EntryPoint {
    shader.reflection.entry_points.iter().find(|entry_point| entry_point.name == name).unwrap()
}

fn bindings(entry_point: &EntryPoint) -> Vec<(&str, u32, bool, u32)> {
    let bindings = entry_point.bindings.iter();
    bindings.map(|binding| (binding.name.as_str(), binding.binding, binding.written, binding.align)).collect()
}

#[test]
fn an_entry_point_has_the_buffers_that_it_uses_by_binding_number() {
    let shader = shader(&[(
        "a.wgsl",
        "@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<vec2f>;
@group(0) @binding(0) var<storage> x: array<f32>;
@group(0) @binding(0) var<storage> x4: array<vec4f>;
fn first() -> f32 { return x4[0].x; }
@compute @workgroup_size(1) fn wide() { y[0] = first() * scale[0].x; }
@compute @workgroup_size(1) fn narrow() { y[0] = x[0] + f32(arrayLength(&scale)); }",
    )]);

    let wide = entry_point(&shader, "wide");
    assert_eq!(bindings(wide), [("x4", 0, false, 16), ("scale", 1, false, 8), ("y", 2, true, 4)]);
    let narrow = entry_point(&shader, "narrow");
    assert_eq!(bindings(narrow), [("x", 0, false, 4), ("scale", 1, false, 8), ("y", 2, true, 4)]);
}

#[test]
fn an_atomic_operation_writes() {
    let shader = shader(&[(
        "a.wgsl",
        "@group(0) @binding(0) var<storage, read_write> hits: array<atomic<u32>>;
@compute @workgroup_size(1) fn count() { atomicAdd(&hits[0], 1u); }",
    )]);

    assert_eq!(bindings(entry_point(&shader, "count")), [("hits", 0, true, 4)]);
}

#[test]
fn a_workgroup_size_may_come_from_a_const() {
    let text = "const ROWS: u32 = 8u;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(ROWS * 2, 4) fn forward() { y[0] = 1.0; }";

    assert_eq!(entry_point(&shader(&[("a.wgsl", text)]), "forward").workgroup_size, [16, 4, 1]);
}

#[test]
fn workgroup_memory_is_counted_per_entry_point_and_rounded_as_webgpu_does() {
    let shader = shader(&[(
        "a.wgsl",
        "var<workgroup> tile: array<vec3f, 5>; // 80 bytes
var<workgroup> seen: u32;                    // 4 bytes, counted as 16
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn both() { tile[1].x = 1.0; y[0] = tile[0].x + f32(seen); }
@compute @workgroup_size(1) fn one() { y[0] = f32(seen); }
@compute @workgroup_size(1) fn none() { y[0] = 0.0; }",
    )]);

    let bytes = ["both", "one", "none"].map(|name| entry_point(&shader, name).workgroup_memory);
    assert_eq!(bytes, [96, 16, 0]);
}

#[test]
fn parameters_are_laid_out_as_wgsl_says() {
    let shader = shader(&[(
        "a.wgsl",
        "struct Params {
    count: u32, // elements
    offset: vec4f,
    @align(16) rows: mat2x2f,
    last: vec3i,
}
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(1) fn forward() { y[params.count] = 1.0; }
@compute @workgroup_size(1) fn clear() { y[0] = 0.0; }",
    )]);

    let params = entry_point(&shader, "forward").params.as_ref().unwrap();
    let members = params.layout.members.iter();
    let members: Vec<_> = members.map(|m| (m.name.as_str(), m.offset, m.bytes, m.rust.as_str())).collect();
    let expected = [
        ("count", 0, 4, "u32"),
        ("offset", 16, 16, "[f32; 4]"),
        ("rows", 32, 16, "[[f32; 2]; 2]"),
        ("last", 48, 12, "[i32; 3]"),
    ];
    assert_eq!(members, expected);
    assert_eq!((params.binding, params.layout.bytes), (1, 64));
    assert_eq!(params.layout.members[0].comment.as_deref(), Some("elements"));
    assert_eq!(entry_point(&shader, "clear").params, None);
}

#[test]
fn constants_are_those_with_a_scalar_type_imported_ones_included() {
    let text = kernel("#import b\nconst A = 1u + B; // sum\nconst V = vec2f(1, 2);\nconst UNTYPED = 1;");
    let shader = shader(&[("a.wgsl", &text), ("lib/b.wgsl", "const B: u32 = 2u;\nconst ZERO = f32();")]);

    let constants = shader.reflection.constants.iter();
    let constants: Vec<_> =
        constants.map(|c| (c.name.as_str(), format!("{:?}", c.value), c.comment.as_deref())).collect();
    let expected = [
        ("B", "U32(2)".to_owned(), None),
        ("ZERO", "F32(0.0)".to_owned(), None),
        ("A", "U32(3)".to_owned(), Some("sum")),
    ];
    assert_eq!(constants, expected);
}

#[test]
fn overrides_of_all_four_types_are_listed_in_order() {
    let text = kernel("override b: u32; // K\noverride a: i32 = -1;\noverride d = 1.5;\noverride c: bool;");
    let shader = shader(&[("a.wgsl", &text)]);

    let overrides = shader.reflection.overrides.iter();
    let overrides: Vec<_> = overrides.map(|o| (o.name.as_str(), o.ty, o.comment.as_deref())).collect();
    assert_eq!(overrides, [("b", "u32", Some("K")), ("a", "i32", None), ("d", "f32", None), ("c", "bool", None)]);
}

#[test]
fn the_step_is_the_uniform_buffer_of_group_1() {
    let shader = shader(&[(
        "a.wgsl",
        "struct Step { first: u32, rate: f32 }
@group(1) @binding(0) var<uniform> step: Step;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn stepped() { y[0] = step.rate; }
@compute @workgroup_size(1) fn plain() { y[0] = 0.0; }",
    )]);

    let step = entry_point(&shader, "stepped").step.as_ref().unwrap();
    assert_eq!((step.name.as_str(), step.bytes, step.members.len()), ("Step", 8, 2));
    assert_eq!(entry_point(&shader, "plain").step, None);
}

#[test]
fn comments_are_those_at_the_start_above_a_function_and_behind_a_binding() {
    let shader = shader(&[
        (
            "a.wgsl",
            "// y = 1
// One invocation.
#import b
// Something else.
@group(0) @binding(0)
var<storage, read_write> y: array<f32>; // [N]

// Sets it.
// All of it.
@compute
@workgroup_size(1)
fn forward() { y[0] = 1.0; }",
        ),
        ("lib/b.wgsl", "// b\n"),
    ]);

    assert_eq!(shader.reflection.comment, ["y = 1", "One invocation."]);
    let forward = entry_point(&shader, "forward");
    assert_eq!(forward.comment, ["Sets it.", "All of it."]);
    assert_eq!(forward.bindings[0].comment.as_deref(), Some("[N]"));
    assert_eq!(forward.bindings[0].wgsl, "array<f32>");
}

#[test]
fn shaders_come_in_alphabetical_order() {
    let text = kernel("");
    let files = ["b.wgsl", "a_2.wgsl", "a.wgsl", "c.wgsl"].map(|path| (path, text.as_str()));

    let names: Vec<_> = crate::compile(&files).unwrap().shaders.into_iter().map(|shader| shader.name).collect();

    assert_eq!(names, ["a", "a_2", "b", "c"]);
}
