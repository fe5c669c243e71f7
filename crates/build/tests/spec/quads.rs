use crate::{assert_error, build, compile};

const VALUE: (&str, &str) = ("lib/value.wgsl", "alias Value = f32;\n");
const VALUE_QUADS: (&str, &str) = ("lib/value_quads.wgsl", "alias Value = vec4f;\n");

/// Two entry points, the second of them with this line above it.
fn shader(directive: &str) -> String {
    format!(
        "// y = 2 x\n#import value\n\
         @group(0) @binding(0) var<storage, read> x: array<Value>;\n\
         @group(0) @binding(1) var<storage, read_write> y: array<Value>;\n\
         @compute @workgroup_size(1)\nfn first() {{ y[0] = x[0]; }}\n\
         {directive}\n@compute @workgroup_size(64)\nfn second() {{ y[0] = 2.0 * x[0]; }}\n"
    )
}

#[test]
fn an_entry_point_below_quads_has_a_second_form_for_gpus() {
    let output = compile(&[("a.wgsl", &shader("#quads")), VALUE, VALUE_QUADS]).unwrap();

    let [values, quads] = &output.shaders[..] else { panic!("{:?}", output.shaders) };
    assert_eq!((values.name.as_str(), quads.name.as_str()), ("a", "a_quads"));
    assert_eq!((&values.quads_of, quads.quads_of.as_deref()), (&None, Some("a")));
    assert!(quads.source.text().contains("alias Value = vec4f;"), "{}", quads.source.text());
    let [second] = &quads.reflection.entry_points[..] else { panic!("{:?}", quads.reflection) };
    assert_eq!((second.name.as_str(), second.gpu_only), ("second", true));
    assert!(second.bindings.iter().all(|binding| binding.align == 16), "{second:?}");
}

#[test]
fn its_calls_have_a_form_and_only_values_have_native_code() {
    let rust = build(&[("a.wgsl", &shader("#quads")), VALUE, VALUE_QUADS]).unwrap();

    assert_eq!(
        ["a::First::KERNEL,", "a::Second::KERNEL,", "a::Second::IN_QUADS,"].map(|kernel| rust.contains(kernel)),
        [true; 3]
    );
    assert!(!rust.contains("First::IN_QUADS"), "{rust}");
    assert_eq!(rust.matches("form: ::kiln::graph::Form").count(), 1, "{rust}");
    assert_eq!(
        [".with_native(", "name: \"a_quads.second\"", "pub mod a"].map(|text| rust.matches(text).count()),
        [2, 1, 1]
    );
}

#[test]
fn without_a_file_in_quads_an_import_is_the_same_in_both_forms() {
    let output = compile(&[("a.wgsl", &shader("#quads")), VALUE]).unwrap();

    let texts: Vec<&str> = output.shaders.iter().map(|shader| shader.source.text()).collect();
    assert_eq!(texts[0], texts[1]);
}

#[test]
fn a_mistake_in_the_form_in_quads_is_reported_as_such() {
    let text = shader("#quads").replace("2.0 * x[0]", "max(x[0], 0.0)");

    let error = build(&[("a.wgsl", &text), VALUE, VALUE_QUADS]).unwrap_err().to_string();

    assert!(error.contains("a.wgsl:9") && error.contains("in quads"), "{error}");
}

#[test]
fn both_forms_have_the_same_overrides() {
    let quads = ("lib/value_quads.wgsl", "alias Value = vec4f;\noverride more: u32;\n");

    let error = build(&[("a.wgsl", &shader("#quads")), VALUE, quads]).unwrap_err().to_string();

    assert!(error.contains("`a` has other parameters or overrides in quads"), "{error}");
}

#[test]
fn quads_above_anything_else_is_an_error() {
    assert_error(
        &[("a.wgsl", &format!("{}#quads\nconst TWO: u32 = 2u;", shader(""))), VALUE],
        "
error: `#quads` is not above an entry point
  --> a.wgsl:10:1
   |
10 | #quads
   | ^^^^^^
   = note: expected it directly above an entry point's `@compute`
",
    );
}
