//! Function variants: one per combination of the classes of its arguments.

use std::collections::HashMap;
use std::rc::Rc;

use naga::{Function, Handle};

use super::scopes::Scopes;
use super::uniformity::{Class, Classes, analyse};
use super::{Shader, Unsupported};

/// The analyses of all functions, by the classes of their arguments.
#[derive(Default)]
pub(super) struct Variants<'a> {
    analysed: HashMap<(Handle<Function>, Vec<Class>), Rc<Classes>>,
    scopes: HashMap<Handle<Function>, Rc<Scopes>>,
    marker: std::marker::PhantomData<&'a ()>,
}

impl<'a> Variants<'a> {
    /// The function's analysis for arguments of these classes; for a pointer, the class of its pointee.
    pub(super) fn analyse(
        &mut self,
        shader: &'a Shader,
        handle: Handle<Function>,
        arguments: &[Class],
    ) -> Result<Rc<Classes>, Unsupported> {
        let key = (handle, arguments.to_vec());
        if let Some(found) = self.analysed.get(&key) {
            return Ok(found.clone());
        }
        let function = &shader.module.functions[handle];
        let scopes = self.scopes(shader, handle);
        let classes = analyse(shader, function, &shader.info[handle], &scopes, arguments, self)?;
        let classes = Rc::new(classes);
        self.analysed.insert(key, classes.clone());
        Ok(classes)
    }

    pub(super) fn scopes(&mut self, shader: &'a Shader, handle: Handle<Function>) -> Rc<Scopes> {
        let new = || {
            let function = &shader.module.functions[handle];
            Rc::new(Scopes::new(function, &|expression| super::is_pointer(shader, &shader.info[handle], expression)))
        };
        self.scopes.entry(handle).or_insert_with(new).clone()
    }
}
