use std::mem::offset_of;

use kiln_build::{Options, Paths};
use kiln_graph::{Access, DType, Graph, Tensor, TensorType};

use crate::{assert_error, build, kernel};

/// The generated code, compiled as in a user's crate.
#[deny(missing_docs, warnings)]
mod kernels {
    include!("../fixtures/kernels.rs");
}
use kernels::every_convention::{Clear, Count, Forward4, Overrides, Params, Sum};

fn generated(options: &Options) -> Result<String, kiln_build::Error> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shaders");
    kiln_build::compile(dir).unwrap().rust(options)
}

/// The code for these files.
fn rust(files: &[(&str, &str)]) -> String {
    build(files).unwrap()
}

fn tensors<const N: usize>() -> [Tensor; N] {
    let mut graph = Graph::new();
    let buffer = graph.buffer("parameters");
    std::array::from_fn(|_| graph.persistent(TensorType::new([4], DType::F32), buffer, 0))
}

#[test]
fn the_generated_code_is_the_one_that_these_tests_compile() {
    let found = generated(&Options::new(Paths::of_parts())).unwrap();
    if found != include_str!("../fixtures/kernels.rs") {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/kernels.rs");
        std::fs::write(path, found).unwrap();
        panic!("the generated code has changed; if that is intended, copy {path} to tests/fixtures/kernels.rs");
    }
}

#[test]
fn code_for_a_crate_that_depends_on_kiln_names_kiln_alone() {
    let found = generated(&Options::default()).unwrap();

    assert!(!found.contains("::kiln_graph") && !found.contains(" ::bytemuck"), "{found}");
    assert!(found.contains("use ::kiln::simd as wgsl;") && !found.contains("::kiln_simd"), "{found}");
    assert!(found.contains("#[bytemuck(crate = \"::kiln::bytemuck\")]"), "{found}");
}

#[test]
fn kiln_may_have_another_name() {
    let found = generated(&Options::new(Paths::of_kiln("engine"))).unwrap();

    assert!(found.contains("::engine::graph::Kernel") && !found.contains("::kiln"), "{found}");
}

#[test]
fn an_entry_point_below_gpu_only_has_no_native_code() {
    let shader = |directive: &str| {
        let entry = |name: &str| format!("@compute @workgroup_size(1)\nfn {name}() {{ y[0] = 1.0; }}\n");
        format!(
            "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n{}// Writes one.\n{directive}{}",
            entry("first"),
            entry("second")
        )
    };

    let both = rust(&[("a.wgsl", &shader(""))]);
    let one = rust(&[("a.wgsl", &shader("#gpu_only\n"))]);

    assert!(both.contains("fn run_second") && !one.contains("fn run_second"), "{one}");
    assert!(one.contains("fn run_first") && one.contains("\n// #gpu_only\n@compute"), "{one}");
    assert_eq!([&both, &one].map(|rust| rust.matches(".with_native(").count()), [2, 1]);
    assert!(one.contains("/// Writes one.\n    #[derive"), "{one}");
}

#[test]
fn gpu_only_above_anything_else_is_an_error() {
    let text = kernel("#gpu_only\nconst TWO: u32 = 2u;");
    assert_error(
        &[("a.wgsl", &text)],
        "
error: `#gpu_only` is not above an entry point
 --> a.wgsl:1:1
  |
1 | #gpu_only
  | ^^^^^^^^^
  = note: expected it directly above an entry point's `@compute`
",
    );
}

const SHARED: &str = "override factor: f32; // of all\nstruct Params { count: u32, offset: f32 }\n";

fn importing(own: &str) -> String {
    format!(
        "#import scaled\n{own}
         @group(0) @binding(0) var<storage, read_write> y: array<f32>;
         @group(0) @binding(1) var<uniform> params: Params;
         @compute @workgroup_size(1)
         fn forward() {{ y[0] = factor * f32(params.count) + params.offset; }}"
    )
}

#[test]
fn what_a_library_declares_is_one_type_for_all_shaders_that_import_it() {
    let [a, b] = [importing("override own: u32;"), importing("")];

    let rust = rust(&[("a.wgsl", &a), ("b.wgsl", &b), ("lib/scaled.wgsl", SHARED)]);

    assert_eq!(rust.matches("::kiln::bytemuck::Pod").count(), 1, "{rust}");
    assert_eq!(rust.matches("pub use super::lib::scaled::Params;").count(), 2);
    assert_eq!(rust.matches("pub scaled: super::lib::scaled::Overrides,").count(), 2);
    let (of_shaders, of_library) = rust.split_once("pub mod lib {").unwrap();
    assert_eq!(of_library.matches("pub factor: f32,").count(), 1, "{rust}");
    let translated = of_shaders.matches("pub struct Shader").count();
    assert_eq!((translated, of_shaders.matches("pub factor: f32,").count()), (2, 2), "those of the native code alone");
    let dense: String = rust.split_whitespace().collect();
    assert_eq!(dense.matches("(\"factor\",f64::from(overrides.scaled.factor))").count(), 2);
    assert_eq!(dense.matches("(\"own\",f64::from(overrides.own))").count(), 1);
}

#[test]
fn an_override_with_the_name_of_a_library_that_has_overrides_is_an_error() {
    assert_error(
        &[("a.wgsl", &importing("override scaled: u32;")), ("lib/scaled.wgsl", SHARED)],
        "
error: the override `scaled` has the name of `lib/scaled.wgsl`, which has overrides too
 --> a.wgsl:2:1
  |
2 | override scaled: u32;
  | ^^^^^^^^^^^^^^^ expected another name
",
    );
}

#[test]
fn kernels_are_listed_in_order_of_file_and_entry_point() {
    let names: Vec<&str> = kernels::KERNELS.iter().map(|kernel| kernel.name).collect();

    assert_eq!(
        names,
        ["every_convention.forward_4", "every_convention.count", "every_convention.clear", "move.forward"]
    );
}

#[test]
fn a_kernel_says_what_a_planner_and_a_device_must_know() {
    let kernel = Forward4::KERNEL;

    assert_eq!((kernel.entry_point, kernel.workgroup_size, kernel.workgroup_memory), ("forward_4", [8, 2, 1], 32));
    let bindings: Vec<_> = kernel.bindings.iter().map(|b| (b.name, b.binding, b.access, b.align)).collect();
    let expected = [("x4", 0, Access::Read, 16), ("pairs", 1, Access::Read, 8), ("box", 3, Access::ReadWrite, 4)];
    assert_eq!(bindings, expected);
    assert_eq!(kernel.params.map(|params| (params.binding, params.bytes)), Some((4, 128)));
    assert_eq!([Forward4::KERNEL.step, Count::KERNEL.step, Clear::KERNEL.step], [true, false, false]);
    assert!(Clear::KERNEL.params.is_none());
    assert!(kernel.source.contains("\nconst WIDTH: u32 = 4u;\n"));
}

#[test]
fn a_call_holds_tensors_overrides_and_the_bytes_of_its_parameters() {
    let [x4, pairs, r#box] = tensors();
    let params = Params { count: 7, r#dyn: -1, last: [0.0, 0.0, 2.0], ..Params::default() };
    let overrides = Overrides { batch: 128, first: -2, scale: 0.5, clamped: true };

    let call = Forward4 { x4, pairs, r#box }.call(params, overrides, [3, 2, 1]);

    assert!(std::ptr::eq(call.kernel(), Forward4::KERNEL));
    assert_eq!(call.arguments(), [x4, pairs, r#box]);
    assert_eq!(call.overrides(), [("batch", 128.0), ("first", -2.0), ("scale", 0.5), ("clamped", 1.0)]);
    assert_eq!((call.workgroups(), call.params().len()), ([3, 2, 1], 128));
    assert_eq!(call.params()[..4], 7u32.to_le_bytes());
    assert_eq!(call.params()[32..36], (-1i32).to_le_bytes());
    assert_eq!(call.params()[120..124], 2f32.to_le_bytes());
}

#[test]
fn a_call_takes_only_what_the_shader_has() {
    let [x, y, hits] = tensors();
    let overrides = Overrides { batch: 0, first: 0, scale: 1.0, clamped: false };

    let count = Count { x, hits }.call(Sum { count: 3, weight: 0.5 }, overrides, [1, 1, 1]);
    let moved = kernels::r#move::Forward { y }.call([1, 1, 1]);

    assert_eq!(count.params(), [3u32.to_le_bytes(), 0.5f32.to_le_bytes()].concat());
    assert!(moved.params().is_empty() && moved.overrides().is_empty());
}

#[test]
fn params_have_padding_where_wgsl_has_it() {
    let offsets = [
        offset_of!(Params, count),
        offset_of!(Params, offset),
        offset_of!(Params, r#dyn),
        offset_of!(Params, rows),
        offset_of!(Params, at),
        offset_of!(Params, last),
    ];

    assert_eq!(offsets, [0, 16, 32, 48, 80, 112]);
    assert_eq!(size_of::<Params>(), 128);
}

#[test]
fn constants_are_rust_constants() {
    use kernels::every_convention as shader;

    assert_eq!((shader::TILE, shader::EPSILON, shader::BOTTOM, shader::EXACT), (8u32, 1e-7f32, -3i32, false));
    assert_eq!(shader::WIDTH, 4);
}

#[test]
fn a_step_of_another_layout_does_not_compile() {
    let generated = generated(&Options::new(Paths::of_parts())).unwrap();

    for line in [
        "-> (u32, u32, [u32; 2], [f32; 4], f32, u32, u32, u32, u32, u32, [u32; 2]) =",
        "assert!(::core::mem::size_of::<::kiln_graph::Step > () == 64);",
        "assert!(::core::mem::offset_of!(::kiln_graph::Step, rates) == 16);",
        "assert!(::core::mem::offset_of!(::kiln_graph::Step, iteration) == 36);",
    ] {
        assert!(generated.contains(line), "{line}");
    }
}
