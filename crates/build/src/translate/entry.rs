//! A shader as a Rust module: its bindings, its functions, and one function per entry point that runs workgroups.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::rc::Rc;

use naga::valid::FunctionInfo;
use naga::{AddressSpace, ArraySize, BuiltIn, Expression, Function, Scalar, ScalarKind, TypeInner};

use super::Unsupported;
use super::expression::Result;
use super::function::Body;
use super::scopes::Scopes;
use super::translation::{Instance, Translation};
use super::types::{COMPONENTS, member_type, rust_type, struct_name, struct_value, vector};
use super::uniformity::{Class, analyse};
use crate::Shader;
use crate::names::ident;
use crate::reflect::EntryPoint;

/// The module's text, without `mod native { … }` around it; empty if no entry point is wanted.
pub(super) fn module(shader: &Shader, simd: &str, wanted: &dyn Fn(&EntryPoint) -> bool) -> Result<String> {
    if !shader.reflection.entry_points.iter().any(wanted) {
        return Ok(String::new());
    }
    let mut translation = Translation::new(shader);
    let mut out = format!("use {simd} as wgsl;\n#[allow(unused_imports)]\nuse {simd}::*;\n");
    structs(shader, &mut out)?;
    bound(shader, &mut out)?;
    overrides(shader, &mut out)?;
    for (index, entry_point) in shader.reflection.entry_points.iter().enumerate().filter(|(_, point)| wanted(point)) {
        entry(&mut translation, index, entry_point, &mut out)?;
        translation.functions(&mut out)?;
    }
    Ok(out)
}

/// The structs, generic over whether members are scalars or lanes.
fn structs(shader: &Shader, out: &mut String) -> Result<()> {
    let module = &shader.module;
    let mut seen = HashSet::new();
    for (_, ty) in module.types.iter() {
        let TypeInner::Struct { ref members, .. } = ty.inner else { continue };
        let fields: Option<Vec<(String, String)>> =
            members.iter().map(|member| Some((ident(member.name.as_deref()?), member_type(module, member)?))).collect();
        // A struct that ends in a runtime-sized array or has atomics is never a value.
        let Some(fields) = fields else { continue };
        let name = struct_name(module, &ty.inner);
        if !seen.insert(name.clone()) {
            continue;
        }
        let join = |each: &dyn Fn(&(String, String)) -> String| fields.iter().map(each).collect::<Vec<_>>().join(", ");
        let _ = write!(
            out,
            "\n#[derive(Clone, Copy, Debug)]\npub struct {name}<K: Kind> {{ {} }}\n\
             impl<S: Simd> ToLanes<S> for {name}<Scalars> {{\n type Lanes = {name}<Lanes<S>>;\n #[inline(always)]\n \
             fn lanes(self, simd: S) -> Self::Lanes {{ {name} {{ {} }} }}\n}}\n\
             impl<S: Simd> Blend<Bool<S>> for {name}<Lanes<S>> {{\n #[inline(always)]\n \
             fn blend(mask: Bool<S>, accept: Self, reject: Self) -> Self {{ {name} {{ {} }} }}\n}}\n",
            join(&|(field, ty)| format!("pub {field}: {ty}")),
            join(&|(field, _)| format!("{field}: self.{field}.lanes(simd)")),
            join(&|(field, _)| format!("{field}: Blend::blend(mask, accept.{field}, reject.{field})")),
        );
    }
    Ok(())
}

/// The struct of the shader's bindings and overrides.
fn bound(shader: &Shader, out: &mut String) -> Result<()> {
    let module = &shader.module;
    out.push_str("\n/// The bindings of the shader.\n#[derive(Clone, Copy, Debug)]\n");
    out.push_str("pub struct Shader<'a, const CHECKED: bool> {\n");
    out.push_str("    __fault: &'a Fault,\n");
    for (handle, variable) in module.global_variables.iter() {
        let name = ident(variable.name.as_deref().unwrap_or_default());
        let ty = match variable.space {
            AddressSpace::Storage { .. } | AddressSpace::WorkGroup => "Storage<'a, CHECKED>".to_owned(),
            AddressSpace::Uniform => match rust_type(module, &module.types[variable.ty].inner, &Class::Uniform) {
                Some(ty) => ty,
                None => {
                    return Err(Unsupported::new(
                        module.global_variables.get_span(handle),
                        "a uniform buffer of this type",
                    ));
                }
            },
            AddressSpace::Private => {
                return Err(Unsupported::new(module.global_variables.get_span(handle), "a private variable"));
            }
            _ => {
                return Err(Unsupported::new(
                    module.global_variables.get_span(handle),
                    "a variable in this address space",
                ));
            }
        };
        let _ = writeln!(out, "    pub {name}: {ty},");
    }
    for value in &shader.reflection.overrides {
        let _ = writeln!(out, "    pub {}: {},", ident(&value.name), value.ty);
    }
    out.push_str("}\n");
    Ok(())
}

/// The list of the overrides.
fn overrides(shader: &Shader, out: &mut String) -> Result<()> {
    let module = &shader.module;
    out.push_str("\n/// The overrides of the shader, in order.\npub const OVERRIDES: &[Override] = &[\n");
    for (handle, value) in module.overrides.iter() {
        let default = match value.init.map(|init| &module.global_expressions[init]) {
            None => "None".to_owned(),
            Some(Expression::Literal(literal)) => match literal {
                naga::Literal::F32(value) => format!("Some({:?})", f64::from(*value)),
                naga::Literal::U32(value) => format!("Some({value}.0)"),
                naga::Literal::I32(value) => format!("Some({value}.0)"),
                naga::Literal::Bool(value) => format!("Some({}.0)", u8::from(*value)),
                _ => "None".to_owned(),
            },
            Some(_) => {
                let span = module.overrides.get_span(handle);
                return Err(Unsupported::new(span, "an override whose default is computed"));
            }
        };
        let name = value.name.as_deref().unwrap_or_default();
        let _ = writeln!(out, "    Override {{ name: {name:?}, default: {default} }},");
    }
    out.push_str("];\n");
    Ok(())
}

/// The entry point itself, and the function that runs its workgroups.
fn entry<'a>(
    translation: &mut Translation<'a>,
    index: usize,
    entry_point: &EntryPoint,
    out: &mut String,
) -> Result<()> {
    let shader = translation.shader;
    let function = &shader.module.entry_points[index].function;
    let info = shader.info.get_entry_point(index);
    let scopes = Rc::new(Scopes::new(function, &|expression| super::is_pointer(shader, info, expression)));
    let arguments: Vec<Class> = function.arguments.iter().map(super::builtin_class).collect();
    let classes = Rc::new(analyse(shader, function, info, &scopes, &arguments, &mut translation.variants)?);
    let masked = !entry_point.workgroup_size[0].is_multiple_of(super::MOST_LANES);
    let name = translation.names.unique(&entry_point.name);
    let instance = Instance { function, info, scopes, classes, masked, name };

    let barriers = super::barrier::has_barrier(&function.body);
    let given = if barriers { String::new() } else { given(function, entry_point)? };
    run(shader, info, entry_point, &instance.name, masked, (!barriers).then_some(given.as_str()), out);
    let _ = writeln!(out, "\n/// `{}` of the shader.", entry_point.name);
    let body = if barriers {
        super::barrier::translate(translation, &instance, entry_point)?
    } else {
        Body::translate(translation, &instance)?
    };
    out.push_str(&body);
    Ok(())
}

/// The entry point's arguments, of the workgroup `workgroup` and the invocations `at`.
fn given(function: &Function, entry_point: &EntryPoint) -> Result<String> {
    let arguments: Result<Vec<String>> =
        function.arguments.iter().map(|argument| builtin(argument, entry_point)).collect();
    Ok(arguments?.join(", "))
}

/// The value of a built-in argument of an entry point.
pub(super) fn builtin(argument: &naga::FunctionArgument, entry_point: &EntryPoint) -> Result<String> {
    let [x, y, z] = entry_point.workgroup_size;
    let Some(naga::Binding::BuiltIn(builtin)) = argument.binding else {
        return Err(Unsupported::new(naga::Span::default(), format!("an argument of `{}`", entry_point.name)));
    };
    Ok(match builtin {
        BuiltIn::WorkGroupId => "workgroup.id".to_owned(),
        BuiltIn::NumWorkGroups => "workgroup.count".to_owned(),
        BuiltIn::LocalInvocationId => "(at.x, at.y, at.z)".to_owned(),
        BuiltIn::LocalInvocationIndex => {
            if y == 1 && z == 1 {
                "at.x".to_owned()
            } else {
                format!("at.x + {x} * (at.y + {y} * at.z)")
            }
        }
        BuiltIn::GlobalInvocationId => format!(
            "(workgroup.id.x.wrapping_mul({x}).wrapping_add(at.x), \
             workgroup.id.y.wrapping_mul({y}).wrapping_add(at.y), \
             workgroup.id.z.wrapping_mul({z}).wrapping_add(at.z))"
        ),
        other => {
            let construct = format!("the builtin {other:?} of `{}`", entry_point.name);
            return Err(Unsupported::new(naga::Span::default(), construct));
        }
    })
}

/// The function that runs workgroups.
fn run(
    shader: &Shader,
    info: &FunctionInfo,
    entry_point: &EntryPoint,
    name: &str,
    masked: bool,
    given: Option<&str>,
    out: &mut String,
) {
    let module = &shader.module;
    let [x, y, z] = entry_point.workgroup_size;
    let _ = write!(
        out,
        "\n/// Runs workgroups of `{}`.\n///\n/// # Safety\n/// As `kiln_graph::NativeFn` demands.\n#[inline(always)]\n\
         pub unsafe fn run_{}<S: Simd, const CHECKED: bool>(simd: S, dispatch: &Dispatch<'_>, range: ::core::ops::Range<u64>) {{\n\
         // SAFETY: by this function's own contract.\nlet shader = unsafe {{ Shader::<'_, CHECKED> {{\n__fault: dispatch.fault,\n",
        entry_point.name, entry_point.name
    );
    let mut workgroup_memory = Vec::new();
    for (handle, variable) in module.global_variables.iter() {
        let name = variable.name.as_deref().unwrap_or_default();
        let field = ident(name);
        let binding = entry_point.bindings.iter().position(|binding| binding.variable == handle);
        let value = match (variable.space, binding) {
            (AddressSpace::Storage { .. }, Some(index)) => {
                let access = if entry_point.bindings[index].written { "read_write" } else { "read" };
                format!("Storage::{access}(wgsl::memory(dispatch, {index}), {name:?}, dispatch.fault)")
            }
            (AddressSpace::Uniform, _) => {
                let inner = &module.types[variable.ty].inner;
                let is_step = variable.binding.as_ref().is_some_and(|binding| binding.group == 1);
                let source = if is_step { "wgsl::step_bytes(dispatch)" } else { "Uniform(dispatch.params)" };
                format!("{{ let bytes = {source}; {} }}", uniform_value(module, inner, 0))
            }
            (AddressSpace::WorkGroup, _) if !info[handle].is_empty() => {
                let words = module.types[variable.ty].inner.size(module.to_ctx()).div_ceil(4);
                workgroup_memory.push((field.clone(), name.to_owned(), words));
                format!("Storage::none({name:?}, dispatch.fault)")
            }
            _ => format!("Storage::none({name:?}, dispatch.fault)"),
        };
        let _ = writeln!(out, "{field}: {value},");
    }
    for (index, value) in shader.reflection.overrides.iter().enumerate() {
        let convert = match value.ty {
            "bool" => " != 0.0".to_owned(),
            ty => format!(" as {ty}"),
        };
        let _ = writeln!(out, "{}: wgsl::override_value(dispatch, {index}){convert},", ident(&value.name));
    }
    out.push_str("} };\n");
    if !workgroup_memory.is_empty() {
        let words: u32 = workgroup_memory.iter().map(|(_, _, words)| words.next_multiple_of(16)).sum();
        let _ = writeln!(out, "let memory = wgsl::workgroup_memory({words});");
    }
    out.push_str("wgsl::for_each_workgroup(dispatch, range, #[inline(always)] |workgroup| {\n");
    if !workgroup_memory.is_empty() {
        out.push_str(
            "// SAFETY: parts of the thread's memory, which only this workgroup uses.\nlet shader = unsafe { Shader {",
        );
        let mut first = 0;
        for (field, name, words) in &workgroup_memory {
            let _ = write!(out, "{field}: Storage::workgroup(memory, {first}, {words}, {name:?}, shader.__fault), ");
            first += words.next_multiple_of(16);
        }
        out.push_str("..shader } };\n");
    }
    match given {
        Some(given) => {
            let mask = if masked { format!("Bool::first(simd, {x} - at.x), ") } else { String::new() };
            let _ = writeln!(
                out,
                "wgsl::for_each_vector::<S>([{x}, {y}, {z}], dispatch.order, #[inline(always)] |at| \
                 {name}(simd, &shader, {mask}{given}));"
            );
        }
        None => {
            let _ = writeln!(out, "{name}(simd, &shader, workgroup, dispatch.order);");
        }
    }
    out.push_str("});\n}\n");
}

/// A value of a uniform buffer, from the words of `bytes`.
fn uniform_value(module: &naga::Module, inner: &TypeInner, word: u32) -> String {
    match *inner {
        TypeInner::Scalar(Scalar { kind: ScalarKind::Float, .. }) => format!("bytes.load::<f32>({word})"),
        TypeInner::Scalar(Scalar { kind: ScalarKind::Sint, .. }) => format!("bytes.load::<i32>({word})"),
        TypeInner::Scalar(_) => format!("bytes.load::<u32>({word})"),
        TypeInner::Vector { size, scalar } => {
            let fields = (0..size as u32).zip(COMPONENTS).map(|(index, name)| {
                format!("{name}: {}", uniform_value(module, &TypeInner::Scalar(scalar), word + index))
            });
            format!("{} {{ {} }}", vector(size), fields.collect::<Vec<_>>().join(", "))
        }
        TypeInner::Matrix { columns, rows, scalar } => {
            let stride = if rows as u8 == 2 { 2 } else { 4 };
            let column = TypeInner::Vector { size: rows, scalar };
            let items = (0..columns as u32).map(|index| uniform_value(module, &column, word + stride * index));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        TypeInner::Array { base, size: ArraySize::Constant(size), stride } => {
            let inner = &module.types[base].inner;
            let items = (0..size.get()).map(|index| uniform_value(module, inner, word + stride / 4 * index));
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        TypeInner::Struct { ref members, .. } => {
            let value = |member: &naga::StructMember| {
                uniform_value(module, &module.types[member.ty].inner, word + member.offset / 4)
            };
            struct_value(module, inner, &Class::Uniform, members.iter().map(value).collect())
        }
        _ => "()".to_owned(),
    }
}
