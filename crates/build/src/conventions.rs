//! The conventions of a shader, from which a planner knows the buffers that a kernel reads and writes.

use naga::{AddressSpace, ArraySize, Module, TypeInner};

use crate::names::struct_name;
use crate::reflect::Reflection;
use crate::source::Source;
use crate::{Diagnostic, comments};

/// Checks all declarations, including those that no entry point uses.
pub(crate) fn check(module: &Module, source: &Source) -> Result<(), Diagnostic> {
    if module.entry_points.is_empty() {
        let label = source.label(0..0, "expected at least one function with `@compute @workgroup_size(…)`");
        return Err(Diagnostic::new("the shader has no entry point", label)
            .note("a file without one that others import belongs in `lib/`"));
    }
    let mut group_0 = Vec::new();
    for (handle, variable) in module.global_variables.iter() {
        let at = || module.global_variables.get_span(handle).to_range().unwrap_or_default();
        let name = variable.name.as_deref().unwrap_or_default();
        let (found, expected) = match (variable.space, &variable.binding) {
            (AddressSpace::Private, _) => continue,
            (AddressSpace::WorkGroup, _) => match module.types[variable.ty].inner {
                TypeInner::Array { size: ArraySize::Pending(_), .. } => {
                    ("has a size that depends on an override".to_owned(), "expected a literal or a `const`")
                }
                _ => continue,
            },
            (AddressSpace::Storage { .. } | AddressSpace::Uniform, Some(place)) if place.group == 0 => {
                group_0.push((place.binding, handle));
                continue;
            }
            (AddressSpace::Storage { .. }, Some(place)) => {
                (format!("is a storage buffer in group {}", place.group), "expected `@group(0)`")
            }
            (AddressSpace::Uniform, Some(place)) if (place.group, place.binding) == (1, 0) => continue,
            (AddressSpace::Uniform, Some(place)) => (
                format!("is a uniform buffer at group {}, binding {}", place.group, place.binding),
                "expected `@group(0)` for parameters, or `#import step` for values that differ between steps",
            ),
            (AddressSpace::Handle, _) => {
                ("is a texture or a sampler".to_owned(), "expected a storage buffer or a uniform buffer")
            }
            _ => ("is in an unsupported address space".to_owned(), "expected storage, uniform or workgroup"),
        };
        return Err(Diagnostic::new(format!("`{name}` {found}"), source.label(at(), expected)));
    }
    group_0.sort_by_key(|&(binding, _)| binding);
    let mut next = 0;
    for (binding, handle) in group_0 {
        if binding > next {
            let name = module.global_variables[handle].name.as_deref().unwrap_or_default();
            let at = module.global_variables.get_span(handle).to_range().unwrap_or_default();
            let message = format!("`{name}` has binding {binding}, but no variable of group 0 has binding {next}");
            return Err(Diagnostic::new(message, source.label(at, format!("expected `@binding({next})`"))));
        }
        next = binding + 1;
    }
    Ok(())
}

/// Checks that generated names are unique.
pub(crate) fn check_names(reflection: &Reflection, source: &Source) -> Result<(), Diagnostic> {
    let libraries = reflection.libraries_with_overrides();
    let mut own = reflection.overrides.iter().filter(|value| value.library.is_none());
    if let Some(value) = own.find(|value| libraries.contains(&value.name.as_str())) {
        let message = format!("the override `{0}` has the name of `lib/{0}.wgsl`, which has overrides too", value.name);
        let at = source.text().find(&format!("override {}", value.name)).unwrap_or_default();
        let at = at..at + "override ".len() + value.name.len();
        return Err(Diagnostic::new(message, source.label(at, "expected another name")));
    }
    let mut taken: Vec<String> = vec!["Overrides".to_owned()];
    taken.extend(reflection.structs.iter().map(|layout| layout.name.clone()));
    for entry_point in &reflection.entry_points {
        let name = struct_name(&entry_point.name);
        if taken.contains(&name) {
            let at = comments::function(source.text(), &entry_point.name).unwrap_or_default();
            let message =
                format!("the entry point `{}` becomes the struct `{name}`, which already exists", entry_point.name);
            return Err(Diagnostic::new(message, source.label(at, "expected another name")));
        }
        taken.push(name);
    }
    Ok(())
}
