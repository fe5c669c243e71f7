use crate::{assert_error, kernel};

/// Asserts that a kernel with these declarations is refused with this message.
#[track_caller]
fn assert_refused(declarations: &str, expected: &str) {
    assert_error(&[("a.wgsl", &kernel(declarations))], expected);
}

#[test]
fn a_shader_has_an_entry_point() {
    assert_error(
        &[("a.wgsl", "// f(x)\nfn f(x: f32) -> f32 { return x; }")],
        "
error: the shader has no entry point
 --> a.wgsl:1:1
  |
1 | // f(x)
  | ^ expected at least one function with `@compute @workgroup_size(…)`
  = note: a file without one that others import belongs in `lib/`
",
    );
}

#[test]
fn entry_points_are_compute_shaders() {
    assert_refused(
        "@fragment\nfn shade() {}",
        "
error: `shade` is not a compute shader
 --> a.wgsl:2:1
  |
2 | fn shade() {}
  | ^^^^^^^^ expected `@compute`
",
    );
}

#[test]
fn an_entry_point_writes_a_buffer() {
    assert_refused(
        "@compute @workgroup_size(1)\nfn nothing() {}",
        "
error: `nothing` writes no buffer
 --> a.wgsl:2:1
  |
2 | fn nothing() {}
  | ^^^^^^^^^^ expected a `var<storage, read_write>` that it writes
",
    );
}

#[test]
fn storage_buffers_lie_in_group_0() {
    assert_refused(
        "@group(2) @binding(0) var<storage> x: array<f32>; // [N]",
        "
error: `x` is a storage buffer in group 2
 --> a.wgsl:1:23
  |
1 | @group(2) @binding(0) var<storage> x: array<f32>; // [N]
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `@group(0)`
",
    );
}

#[test]
fn uniform_buffers_lie_in_group_0_or_are_the_step() {
    assert_refused("struct S { a: u32 }\n@group(1) @binding(1) var<uniform> s: S;", "
error: `s` is a uniform buffer at group 1, binding 1
 --> a.wgsl:2:23
  |
2 | @group(1) @binding(1) var<uniform> s: S;
  |                       ^^^^^^^^^^^^^^^^^^ expected `@group(0)` for parameters, or `#import step` for values that differ between steps
");
}

#[test]
fn textures_and_samplers_are_refused() {
    assert_refused(
        "@group(0) @binding(1) var image: texture_2d<f32>;",
        "
error: `image` is a texture or a sampler
 --> a.wgsl:1:23
  |
1 | @group(0) @binding(1) var image: texture_2d<f32>;
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a storage buffer or a uniform buffer
",
    );
    assert_refused(
        "@group(0) @binding(1) var nearest: sampler;",
        "
error: `nearest` is a texture or a sampler
 --> a.wgsl:1:23
  |
1 | @group(0) @binding(1) var nearest: sampler;
  |                       ^^^^^^^^^^^^^^^^^^^^^ expected a storage buffer or a uniform buffer
",
    );
}

#[test]
fn bindings_have_no_gaps() {
    assert_refused(
        "@group(0) @binding(2) var<storage> x: array<f32>;",
        "
error: `x` has binding 2, but no variable of group 0 has binding 1
 --> a.wgsl:1:23
  |
1 | @group(0) @binding(2) var<storage> x: array<f32>;
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `@binding(1)`
",
    );
}

#[test]
fn read_write_means_that_each_entry_point_writes_it() {
    assert_refused(
        "@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1)
fn add() { y[0] = x[0]; }
@compute @workgroup_size(1)
fn assign() { x[0] = 1.0; }",
        "
error: `add` does not write `x`, which is declared read_write
 --> a.wgsl:1:23
  |
1 | @group(0) @binding(1) var<storage, read_write> x: array<f32>;
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `var<storage, read>`, or another variable with this binding for this entry point
",
    );
}

#[test]
fn parameters_are_a_struct() {
    assert_refused(
        "@group(0) @binding(1) var<uniform> params: vec4f;
@compute @workgroup_size(1)
fn scale() { y[0] = params.x; }",
        "
error: `params` is a uniform buffer, but not a struct
 --> a.wgsl:1:23
  |
1 | @group(0) @binding(1) var<uniform> params: vec4f;
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected `var<uniform> NAME: STRUCT`
",
    );
}

#[test]
fn parameters_have_a_layout_that_rust_can_have() {
    assert_refused(
        "struct Params { rotation: mat3x3f }
@group(0) @binding(1) var<uniform> params: Params;
@compute @workgroup_size(1)
fn scale() { y[0] = params.rotation[0].x; }",
        "
error: the member `rotation` of `Params` has a type that Rust cannot lay out identically
 --> a.wgsl:1:17
  |
1 | struct Params { rotation: mat3x3f }
  |                 ^^^^^^^^ expected a scalar, a vector, a matrix of 2 or 4 rows, or an array of at most 32 of these
",
    );
}

#[test]
fn an_entry_point_has_one_struct_of_parameters() {
    assert_refused(
        "struct Params { a: f32 }
@group(0) @binding(1) var<uniform> params: Params;
@group(0) @binding(2) var<uniform> more: Params;
@compute @workgroup_size(1)
fn scale() { y[0] = params.a * more.a; }",
        "
error: `scale` uses two uniform buffers: `params` and `more`
 --> a.wgsl:3:23
  |
3 | @group(0) @binding(2) var<uniform> more: Params;
  |                       ^^^^^^^^^^^^^^^^^^^^^^^^^^ expected one struct with all parameters
",
    );
}

#[test]
fn workgroup_sizes_do_not_depend_on_overrides() {
    assert_refused(
        "override size: u32;
@compute @workgroup_size(8, size)
fn scale() { y[0] = 2.0; }",
        "
error: the workgroup size of `scale` depends on an override
 --> a.wgsl:2:29
  |
2 | @compute @workgroup_size(8, size)
  |                             ^^^^ expected a literal or a `const`
",
    );
}

#[test]
fn workgroup_memory_does_not_depend_on_overrides() {
    assert_refused(
        "override size: u32;\nvar<workgroup> tile: array<f32, size>;",
        "
error: `tile` has a size that depends on an override
 --> a.wgsl:2:1
  |
2 | var<workgroup> tile: array<f32, size>;
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected a literal or a `const`
",
    );
}

#[test]
fn overrides_have_no_id() {
    assert_refused(
        "@id(3) override size: u32;",
        "
error: the override `size` has an `@id`
 --> a.wgsl:1:8
  |
1 | @id(3) override size: u32;
  |        ^^^^^^^^^^^^^^^^^^^ remove it: Kiln sets overrides by name
",
    );
}

#[test]
fn entry_points_have_struct_names_of_their_own() {
    assert_refused(
        "@compute @workgroup_size(1)\nfn Forward() { y[0] = 2.0; }",
        "
error: the entry point `forward` becomes the struct `Forward`, which already exists
 --> a.wgsl:5:1
  |
5 | fn forward() { y[0] = 1.0; }
  | ^^^^^^^^^^ expected another name
",
    );
    assert_refused(
        "@compute @workgroup_size(1)\nfn overrides() { y[0] = 2.0; }",
        "
error: the entry point `overrides` becomes the struct `Overrides`, which already exists
 --> a.wgsl:2:1
  |
2 | fn overrides() { y[0] = 2.0; }
  | ^^^^^^^^^^^^ expected another name
",
    );
}
