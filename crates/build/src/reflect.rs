//! A shader's interface: entry points, bindings, parameters, overrides, constants. A shader that breaks one of Kiln's
//! conventions is a [`Diagnostic`].

use std::collections::BTreeSet;
use std::ops::Range;

use naga::valid::{GlobalUse, ModuleInfo};
use naga::{AddressSpace, Expression, GlobalVariable, Handle, Literal, Module, Scalar, ScalarKind, ShaderStage};
use naga::{StorageAccess, TypeInner};

use crate::conventions;
use crate::import::Directive;
use crate::layout::{Struct, struct_layout};
use crate::source::Source;
use crate::{Diagnostic, comments};

/// The interface of a shader.
#[derive(Clone, Debug, PartialEq)]
pub struct Reflection {
    /// The comment lines at its start, formula first.
    pub comment: Vec<String>,
    /// The structs of its uniform buffers in group 0.
    pub structs: Vec<Struct>,
    /// Its overrides, in order of declaration.
    pub overrides: Vec<Override>,
    /// Its top-level constants of a scalar type that is written out, in order of declaration.
    pub constants: Vec<Constant>,
    /// Its entry points, in order of declaration.
    pub entry_points: Vec<EntryPoint>,
}

impl Reflection {
    /// The files in `lib/` whose overrides the shader has, by stem, in alphabetical order.
    pub(crate) fn libraries_with_overrides(&self) -> Vec<&str> {
        let libraries: BTreeSet<&str> = self.overrides.iter().filter_map(|value| value.library.as_deref()).collect();
        libraries.into_iter().collect()
    }
}

/// An `override`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its name.
    pub name: String,
    /// Its type: `u32`, `i32`, `f32` or `bool`, in both languages.
    pub ty: &'static str,
    /// Its trailing comment.
    pub comment: Option<String>,
    /// The file in `lib/` that declares it, by stem; `None` for the shader itself.
    pub library: Option<String>,
}

/// A top-level `const`.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Literal,
    /// Its trailing comment.
    pub comment: Option<String>,
}

/// An entry point.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryPoint {
    /// The function's name.
    pub name: String,
    /// The comment lines above it.
    pub comment: Vec<String>,
    /// Invocations per workgroup along x, y and z.
    pub workgroup_size: [u32; 3],
    /// The storage buffers that it uses, by ascending binding number.
    pub bindings: Vec<Binding>,
    /// The uniform buffer of group 0 that it uses.
    pub params: Option<Params>,
    /// The struct of the uniform buffer at group 1, binding 0, if it uses that.
    pub step: Option<Struct>,
    /// Whether it has no native code: it is marked `#gpu_only`, or computes in quads.
    pub gpu_only: bool,
    /// Whether it is marked `#quads`.
    pub quads: bool,
    /// Workgroup memory in bytes, each variable rounded up to 16 as WebGPU counts it.
    pub workgroup_memory: u32,
}

/// A storage buffer that an entry point uses.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The variable.
    pub variable: Handle<GlobalVariable>,
    /// Its name.
    pub name: String,
    /// Its number within group 0.
    pub binding: u32,
    /// Whether the entry point writes it.
    pub written: bool,
    /// The stride of its elements in bytes.
    pub align: u32,
    /// Its type in WGSL.
    pub wgsl: String,
    /// Its trailing comment, by convention its shape.
    pub comment: Option<String>,
}

/// The uniform buffer with an entry point's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Its number within group 0.
    pub binding: u32,
    /// Its struct.
    pub layout: Struct,
}

/// Checks the shader against Kiln's conventions and returns its interface.
pub(crate) fn reflect(module: &Module, info: &ModuleInfo, source: &Source) -> Result<Reflection, Diagnostic> {
    let reflector = Reflector { module, info, source };
    conventions::check(module, source)?;
    let entry_points: Vec<EntryPoint> =
        (0..module.entry_points.len()).map(|index| reflector.entry_point(index)).collect::<Result<_, _>>()?;
    let heads: Vec<Range<usize>> = module
        .entry_points
        .iter()
        .filter_map(|entry_point| comments::function(source.text(), &entry_point.name))
        .map(|function| comments::head(source.text(), function))
        .collect();
    let is_stray = |line: &usize| !heads.iter().any(|head| head.contains(line));
    if let Some(&(directive, line)) = source.directives().iter().find(|(_, line)| is_stray(line)) {
        let name = directive.name();
        let label = source.label(line..line + name.len(), "");
        return Err(Diagnostic::new(format!("`{name}` is not above an entry point"), label)
            .note("expected it directly above an entry point's `@compute`"));
    }
    let mut structs: Vec<Struct> = Vec::new();
    for params in entry_points.iter().filter_map(|entry_point| entry_point.params.as_ref()) {
        if !structs.contains(&params.layout) {
            structs.push(params.layout.clone());
        }
    }
    let reflection = Reflection {
        comment: comments::leading(source.text()),
        structs,
        overrides: reflector.overrides()?,
        constants: reflector.constants(),
        entry_points,
    };
    conventions::check_names(&reflection, source)?;
    Ok(reflection)
}

struct Reflector<'a> {
    module: &'a Module,
    info: &'a ModuleInfo,
    source: &'a Source,
}

impl Reflector<'_> {
    fn entry_point(&self, index: usize) -> Result<EntryPoint, Diagnostic> {
        let (module, source) = (self.module, self.source);
        let function = &module.entry_points[index];
        let at = comments::function(source.text(), &function.name).unwrap_or_default();
        if function.stage != ShaderStage::Compute {
            let message = format!("`{}` is not a compute shader", function.name);
            return Err(Diagnostic::new(message, source.label(at, "expected `@compute`")));
        }
        if let Some(size) = function.workgroup_size_overrides.iter().flatten().flatten().next() {
            let at = module.global_expressions.get_span(*size).to_range().unwrap_or(at);
            let message = format!("the workgroup size of `{}` depends on an override", function.name);
            return Err(Diagnostic::new(message, source.label(at, "expected a literal or a `const`")));
        }
        let head = comments::head(source.text(), at.clone());
        let mut entry_point = EntryPoint {
            name: function.name.clone(),
            comment: comments::above(source.text(), at.clone()),
            workgroup_size: function.workgroup_size,
            bindings: Vec::new(),
            params: None,
            step: None,
            gpu_only: source.has(Directive::GpuOnly, &head),
            quads: source.has(Directive::Quads, &head),
            workgroup_memory: 0,
        };
        let mut params: Option<&str> = None;
        for (handle, variable) in module.global_variables.iter() {
            let usage = self.info.get_entry_point(index)[handle];
            if usage.is_empty() {
                continue;
            }
            let name = variable.name.as_deref().unwrap_or_default();
            let span = module.global_variables.get_span(handle);
            match (variable.space, &variable.binding) {
                (AddressSpace::WorkGroup, _) => {
                    entry_point.workgroup_memory +=
                        module.types[variable.ty].inner.size(module.to_ctx()).next_multiple_of(16);
                }
                (AddressSpace::Storage { access }, Some(at)) => {
                    entry_point.bindings.push(self.binding(handle, at.binding, access, usage, &function.name)?);
                }
                (AddressSpace::Uniform, Some(at)) if at.group == 0 => {
                    if let Some(other) = params.replace(name) {
                        let message = format!("`{}` uses two uniform buffers: `{other}` and `{name}`", function.name);
                        let label = source
                            .label(span.to_range().unwrap_or_default(), "expected one struct with all parameters");
                        return Err(Diagnostic::new(message, label));
                    }
                    let layout = struct_layout(module, variable.ty, name, span, source)?;
                    entry_point.params = Some(Params { binding: at.binding, layout });
                }
                (AddressSpace::Uniform, Some(_)) => {
                    entry_point.step = Some(struct_layout(module, variable.ty, name, span, source)?);
                }
                _ => {}
            }
        }
        entry_point.bindings.sort_by_key(|binding| binding.binding);
        if !entry_point.bindings.iter().any(|binding| binding.written) {
            let message = format!("`{}` writes no buffer", function.name);
            let expected = "expected a `var<storage, read_write>` that it writes";
            return Err(Diagnostic::new(message, source.label(at, expected)));
        }
        Ok(entry_point)
    }

    fn binding(
        &self,
        handle: Handle<GlobalVariable>,
        binding: u32,
        access: StorageAccess,
        usage: GlobalUse,
        entry_point: &str,
    ) -> Result<Binding, Diagnostic> {
        let variable = &self.module.global_variables[handle];
        let name = variable.name.clone().unwrap_or_default();
        let span = self.module.global_variables.get_span(handle).to_range().unwrap_or_default();
        let written = access.contains(StorageAccess::STORE);
        if written && !usage.intersects(GlobalUse::WRITE | GlobalUse::ATOMIC) {
            let message = format!("`{entry_point}` does not write `{name}`, which is declared read_write");
            let expected = "expected `var<storage, read>`, or another variable with this binding for this entry point";
            return Err(Diagnostic::new(message, self.source.label(span, expected)));
        }
        let align = match self.module.types[variable.ty].inner {
            TypeInner::Array { stride, .. } => stride,
            ref inner => inner.size(self.module.to_ctx()).max(4),
        };
        let declaration = self.source.text().get(span.clone()).unwrap_or_default();
        let wgsl = declaration.split_once(':').map_or("", |(_, ty)| ty).trim_end_matches(';').trim().to_owned();
        let comment = comments::trailing(self.source.text(), span);
        Ok(Binding { variable: handle, name, binding, written, align, wgsl, comment })
    }

    fn overrides(&self) -> Result<Vec<Override>, Diagnostic> {
        let overrides = self.module.overrides.iter().map(|(handle, value)| {
            let span = self.module.overrides.get_span(handle).to_range().unwrap_or_default();
            let name = value.name.clone().unwrap_or_default();
            if value.id.is_some() {
                let message = format!("the override `{name}` has an `@id`");
                let expected = "remove it: Kiln sets overrides by name";
                return Err(Diagnostic::new(message, self.source.label(span, expected)));
            }
            let ty = match self.module.types[value.ty].inner {
                TypeInner::Scalar(Scalar { kind: ScalarKind::Uint, width: 4 }) => "u32",
                TypeInner::Scalar(Scalar { kind: ScalarKind::Sint, width: 4 }) => "i32",
                TypeInner::Scalar(Scalar { kind: ScalarKind::Float, width: 4 }) => "f32",
                TypeInner::Scalar(Scalar { kind: ScalarKind::Bool, .. }) => "bool",
                _ => {
                    let message = format!("the override `{name}` has a type that Kiln cannot set");
                    return Err(Diagnostic::new(message, self.source.label(span, "expected u32, i32, f32 or bool")));
                }
            };
            let library = self.source.library(span.start).map(str::to_owned);
            Ok(Override { name, ty, comment: comments::trailing(self.source.text(), span), library })
        });
        overrides.collect()
    }

    fn constants(&self) -> Vec<Constant> {
        let constants = self.module.constants.iter().filter_map(|(handle, constant)| {
            let name = constant.name.clone()?;
            let value = self.value(constant.init)?;
            let span = self.module.constants.get_span(handle).to_range().unwrap_or_default();
            Some(Constant { name, value, comment: comments::trailing(self.source.text(), span) })
        });
        constants.collect()
    }

    /// The value of a constant expression, if it is a scalar.
    fn value(&self, expression: Handle<Expression>) -> Option<Literal> {
        match self.module.global_expressions[expression] {
            Expression::Literal(literal) => Some(literal),
            Expression::Constant(constant) => self.value(self.module.constants[constant].init),
            Expression::ZeroValue(ty) => match self.module.types[ty].inner {
                TypeInner::Scalar(scalar) => Literal::zero(scalar),
                _ => None,
            },
            _ => None,
        }
    }
}
