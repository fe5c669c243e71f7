#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use super::scopes::{Scopes, Variable};
use super::uniformity::{Class, Classes, analyse};
use super::variants::Variants;
use crate::Shader;
use crate::import::Library;
use crate::source::File;

/// The classes of a kernel's variables and `let`s by name, where its lanes run along `local.x`.
fn classes(body: &str) -> impl Fn(&str) -> Class {
    let text = format!(
        "@group(0) @binding(0) var<storage, read> x: array<f32>;
         @group(0) @binding(1) var<storage, read_write> y: array<f32>;
         fn clamped(i: u32, n: u32) -> u32 {{ return min(i, n - 1u); }}
         fn grow(total: ptr<function, f32>, by: f32) {{ *total += by; }}
         @compute @workgroup_size(16, 4)
         fn f(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {{
             let column = group.x * 16u + local.x;
             let row = group.y * 4u + local.y;
             {body}
             y[column] = x[row];
         }}"
    );
    let file = Arc::new(File { path: "test.wgsl".into(), text });
    let shader: &Shader = Box::leak(Box::new(Shader::new("test", &file, &Library::new()).unwrap()));
    let (function, info) = (&shader.module.entry_points[0].function, shader.info.get_entry_point(0));
    let scopes = Scopes::new(function, &|expression| super::is_pointer(shader, info, expression));
    let local = Class::Mixed(vec![Class::Linear, Class::Uniform, Class::Uniform]);
    let arguments = [Class::Uniform, local];
    let found: Classes =
        analyse(shader, function, info, &scopes, &arguments, &mut Variants::default()).unwrap_or_else(|_| panic!());
    move |name| {
        let of_let = function.named_expressions.iter().find(|(_, found)| *found == name);
        if let Some((expression, _)) = of_let {
            return found.expressions[expression.index()].clone();
        }
        let mut variables = function.local_variables.iter();
        let (local, _) = variables.find(|(_, variable)| variable.name.as_deref() == Some(name)).unwrap();
        found.variables[&Variable::Local(local)].clone()
    }
}

#[test]
fn lanes_run_along_local_x_and_share_all_else() {
    let class = classes("let next = column + 16u; let twice = column * 2u; let value = x[column];");
    assert_eq!(class("row"), Class::Uniform);
    assert_eq!([class("column"), class("next")], [Class::Linear, Class::Linear]);
    assert_eq!([class("twice"), class("value")], [Class::Varying, Class::Varying]);
}

#[test]
fn a_clamp_through_a_function_stays_contiguous() {
    assert_eq!(classes("let c = clamped(column, 50u);")("c"), Class::Clamped);
}

#[test]
fn an_address_that_walks_by_rows_stays_contiguous() {
    let class = classes("var at = column; var sum = 0.0; for (var k = 0u; k < row; k++) { sum += x[at]; at += 50u; }");
    assert_eq!([class("k"), class("at"), class("sum")], [Class::Uniform, Class::Linear, Class::Varying]);
}

#[test]
fn a_counter_is_the_same_for_the_lanes_that_are_still_in_their_loop() {
    let class =
        classes("var n = 0u; for (var k = 0u; k < 9u; k++) { if x[column] > 1.0 { break; } n = k; } let m = n;");
    assert_eq!([class("k"), class("n")], [Class::Uniform, Class::Varying]);
}

#[test]
fn what_is_assigned_where_control_differs_differs() {
    let class = classes("var a = 0u; var b = 0u; if column > 3u { a = 1u; } if row > 3u { b = 1u; } let c = a + b;");
    assert_eq!([class("a"), class("b"), class("c")], [Class::Varying, Class::Uniform, Class::Varying]);
}

#[test]
fn a_function_raises_what_its_pointers_point_to() {
    let class = classes("var a = 0.0; var b = 0.0; grow(&a, x[column]); grow(&b, x[row]); let c = a + b;");
    assert_eq!([class("a"), class("b")], [Class::Varying, Class::Uniform]);
}

/// The classes of the named values of each of Kiln's own kernels.
fn of_kernel(name: &str, entry_point: &str) -> Vec<(String, Class)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops/shaders");
    let output = crate::compile(dir).unwrap();
    let shader = output.shaders.iter().find(|shader| shader.name == name).unwrap();
    let index = shader.module.entry_points.iter().position(|found| found.name == entry_point).unwrap();
    let (function, info) = (&shader.module.entry_points[index].function, shader.info.get_entry_point(index));
    let scopes = Scopes::new(function, &|expression| super::is_pointer(shader, info, expression));
    let arguments: Vec<Class> = function.arguments.iter().map(super::builtin_class).collect();
    let found = analyse(shader, function, info, &scopes, &arguments, &mut Variants::default()).unwrap();
    let lets = function.named_expressions.iter().map(|(e, name)| (name.clone(), found.expressions[e.index()].clone()));
    let variables = function.local_variables.iter().map(|(local, variable)| {
        (variable.name.clone().unwrap_or_default(), found.variables[&Variable::Local(local)].clone())
    });
    lets.chain(variables).collect()
}

#[test]
fn the_convolution_multiplies_uniform_pixels_with_contiguous_weights() {
    let found = of_kernel("conv2d", "forward");
    let class = |name: &str| found.iter().find(|(found, _)| found == name).unwrap().1.clone();
    assert_eq!([class("column"), class("w")], [Class::Linear, Class::Linear]);
    for uniform in ["pixel", "p0", "p5", "a0", "a5", "c0", "c5", "together", "r", "s", "d"] {
        assert_eq!(class(uniform), Class::Uniform, "{uniform}");
    }
    assert_eq!([class("s0"), class("t5"), class("b0")], [Class::Varying, Class::Varying, Class::Varying]);
}
