use kiln_build::Error;

use crate::{assert_error, compile, kernel, shader};

#[test]
fn a_syntax_error_points_at_the_word() {
    assert_error(
        &[("a.wgsl", &kernel("const A: u32 = 1u;\n\tconst É: f31 = 2.0;"))],
        "
error: no definition in scope for identifier: `f31`
 --> a.wgsl:2:11
  |
2 | \tconst É: f31 = 2.0;
  | \t         ^^^ unknown identifier
",
    );
}

#[test]
fn an_error_with_two_places_shows_both() {
    assert_error(
        &[("a.wgsl", &kernel("#import b\nconst B: u32 = 2u;")), ("lib/b.wgsl", "\n\nconst B: u32 = 1u;")],
        "
error: redefinition of `B`
 --> a.wgsl:2:7
  |
2 | const B: u32 = 2u;
  |       ^
 --> lib/b.wgsl:3:7
  |
3 | const B: u32 = 1u;
  |       ^ previous definition of `B`
",
    );
}

#[test]
fn notes_of_naga_are_passed_on() {
    assert_error(
        &[("a.wgsl", &kernel("const A = cross(vec2f(1, 2), vec2f(1, 2));"))],
        "
error: wrong type passed as argument #1 to `cross`
 --> a.wgsl:1:11
  |
1 | const A = cross(vec2f(1, 2), vec2f(1, 2));
  |           ^^^^^
 --> a.wgsl:1:17
  |
1 | const A = cross(vec2f(1, 2), vec2f(1, 2));
  |                 ^^^^^^^^^^^ argument #1 has type `vec2<f32>`
  = note: `cross` accepts the following types for argument #1:
  = note: allowed type: vec3<{AbstractFloat}>
  = note: allowed type: vec3<f32>
  = note: allowed type: vec3<f16>
  = note: allowed type: vec3<f64>
",
    );
}

#[test]
fn a_type_error_says_why_and_in_which_function() {
    assert_error(
        &[("a.wgsl", &kernel("fn f(a: f32) -> u32 {\n    return a;\n}"))],
        "
error: The `return` expression does not match the declared return type
 --> a.wgsl:1:6
  |
1 | fn f(a: f32) -> u32 {
  |      ^
  = note: Function 'f' is invalid
",
    );
}

#[test]
fn a_write_to_a_read_buffer_is_an_error() {
    let text = "@group(0) @binding(0) var<storage, read> x: array<f32>;
@compute @workgroup_size(1)
fn forward() {
    x[0] = 1.0;
}";
    assert_error(
        &[("a.wgsl", text)],
        "
error: The pointer doesn't relate to a valid destination for a store
 --> a.wgsl:4:5
  |
4 |     x[0] = 1.0;
  |     ^^^^ writing to this location is not permitted
  = note: Entry point forward at Compute is invalid
",
    );
}

#[test]
fn a_mistake_in_an_imported_file_is_reported_there_and_once() {
    let text = kernel("#import b");
    assert_error(
        &[("a.wgsl", &text), ("c.wgsl", &text), ("lib/b.wgsl", "// b\nfn b() -> u32 { return c; }")],
        "
error: no definition in scope for identifier: `c`
 --> lib/b.wgsl:2:24
  |
2 | fn b() -> u32 { return c; }
  |                        ^ unknown identifier
  = note: while building a.wgsl
",
    );
}

#[test]
fn an_error_at_the_end_of_the_file_points_at_its_last_line() {
    assert_error(
        &[("a.wgsl", "fn f() {\n    let a = 1;\n")],
        r#"
error: expected statement, found ""
 --> a.wgsl:2:15
  |
2 |     let a = 1;
  |               ^ expected statement
"#,
    );
}

#[test]
fn what_not_every_webgpu_device_can_do_is_an_error() {
    assert_error(
        &[("a.wgsl", &kernel("var<private> half: f64;"))],
        "
error: Using `f64` values requires the `naga::valid::Capabilities::FLOAT64` flag
 --> a.wgsl:1:20
  |
1 | var<private> half: f64;
  |                    ^^^
",
    );
}

#[test]
fn every_shader_with_a_mistake_is_reported() {
    let error = compile(&[("a.wgsl", "fn"), ("b.wgsl", &kernel("")), ("c.wgsl", "var")]).unwrap_err();

    let Error::Shaders { diagnostics } = error else { panic!("{error}") };
    let files: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic.labels[0].path.to_str().unwrap()).collect();
    assert_eq!(files, ["a.wgsl", "c.wgsl"]);
}

#[test]
fn overrides_need_no_value() {
    let text = kernel("override size: u32;\nfn area() -> u32 { return size * size; }");

    assert_eq!(shader(&[("a.wgsl", &text)]).module.overrides.len(), 1);
}

#[test]
fn a_folder_without_shaders_is_an_error() {
    assert!(matches!(compile(&[("lib/step.wgsl", "")]), Err(Error::NoShaders { .. })));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let error = kiln_build::compile("no/such/folder").unwrap_err().to_string();

    assert!(error.starts_with("cannot read no/such/folder: "), "{error}");
}

#[test]
fn a_file_name_that_is_no_module_is_an_error() {
    assert_error(
        &[("conv-2d.wgsl", &kernel(""))],
        "
error: conv-2d.wgsl is not a valid Rust module name
  = note: expected a letter, then letters, digits and `_`
",
    );
}
