//! The state of a shader's translation: function instances and their needs.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use naga::{AddressSpace, Block, Expression, Function, Handle, Statement, StorageAccess, TypeInner};

use super::Unsupported;
use super::expression::Result;
use super::function::Body;
use super::names::Names;
use super::scopes::Scopes;
use super::types::{COMPONENTS, literal, struct_value, vector, zero};
use super::uniformity::{Class, Classes};
use super::value::Value;
use super::variants::Variants;
use crate::Shader;
use crate::names::ident;

/// A function, specialised for its arguments' classes.
pub(super) struct Instance<'a> {
    pub(super) function: &'a Function,
    pub(super) info: &'a naga::valid::FunctionInfo,
    pub(super) scopes: Rc<Scopes>,
    pub(super) classes: Rc<Classes>,
    /// Whether it has an argument with the mask of the active lanes.
    pub(super) masked: bool,
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    function: Handle<Function>,
    arguments: Vec<Class>,
    masked: bool,
}

/// The state of a shader's translation.
pub(super) struct Translation<'a> {
    pub(super) shader: &'a Shader,
    pub(super) variants: Variants<'a>,
    instances: HashMap<Key, (String, Class)>,
    waiting: VecDeque<Key>,
    /// The names of functions.
    pub(super) names: Names,
}

impl<'a> Translation<'a> {
    /// Nothing is translated yet.
    pub(super) fn new(shader: &'a Shader) -> Translation<'a> {
        let mut names = Names::new();
        for entry_point in &shader.reflection.entry_points {
            names.reserve(&format!("run_{}", entry_point.name));
        }
        Translation {
            shader,
            variants: Variants::default(),
            instances: HashMap::new(),
            waiting: VecDeque::new(),
            names,
        }
    }

    /// The name of a function for arguments of these classes, which differs from the caller's `locals`, and the class
    /// of its result.
    pub(super) fn instance(
        &mut self,
        function: Handle<Function>,
        arguments: &[Class],
        masked: bool,
        locals: &mut Names,
    ) -> Result<(String, Class)> {
        let key = Key { function, arguments: arguments.to_vec(), masked };
        if let Some(found) = self.instances.get(&key) {
            return Ok(found.clone());
        }
        let name = self.shader.module.functions[function].name.as_deref().unwrap_or("function");
        let name = self.names.unique_in_both(locals, name);
        let classes = self.variants.analyse(self.shader, function, arguments)?;
        self.instances.insert(key.clone(), (name.clone(), classes.result.clone()));
        self.waiting.push_back(key);
        Ok((name, classes.result.clone()))
    }

    /// Writes the functions that are called and not written yet.
    pub(super) fn functions(&mut self, out: &mut String) -> Result<()> {
        while let Some(key) = self.waiting.pop_front() {
            let instance = Instance {
                function: &self.shader.module.functions[key.function],
                info: &self.shader.info[key.function],
                scopes: self.variants.scopes(self.shader, key.function),
                classes: self.variants.analyse(self.shader, key.function, &key.arguments)?,
                masked: key.masked,
                name: self.instances[&key].0.clone(),
            };
            out.push('\n');
            out.push_str(&Body::translate(self, &instance)?);
        }
        Ok(())
    }

    /// Whether a function needs the mask of the active lanes: it accesses memory, has loops, or writes through
    /// pointers.
    pub(super) fn needs_mask(&self, function: Handle<Function>) -> bool {
        let info = &self.shader.info[function];
        let memory = self.memory().any(|global| !info[global].is_empty());
        memory || self.has_pointers(function) || self.has_loops(function)
    }

    /// Whether a call can be moved to where its result is used.
    pub(super) fn is_pure(&self, function: Handle<Function>) -> bool {
        let info = &self.shader.info[function];
        let written = |global: Handle<naga::GlobalVariable>| match self.shader.module.global_variables[global].space {
            AddressSpace::Storage { access } => access.contains(StorageAccess::STORE),
            _ => true,
        };
        !self.has_pointers(function) && !self.memory().any(|global| written(global) && !info[global].is_empty())
    }

    fn memory(&self) -> impl Iterator<Item = Handle<naga::GlobalVariable>> + '_ {
        let in_memory = |space| matches!(space, AddressSpace::Storage { .. } | AddressSpace::WorkGroup);
        let variables = self.shader.module.global_variables.iter();
        variables.filter(move |(_, variable)| in_memory(variable.space)).map(|(handle, _)| handle)
    }

    fn has_pointers(&self, function: Handle<Function>) -> bool {
        let module = &self.shader.module;
        let is_pointer = |ty: Handle<naga::Type>| {
            matches!(module.types[ty].inner, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. })
        };
        module.functions[function].arguments.iter().any(|argument| is_pointer(argument.ty))
    }

    fn has_loops(&self, function: Handle<Function>) -> bool {
        fn within(translation: &Translation<'_>, block: &Block) -> bool {
            block.iter().any(|statement| match *statement {
                Statement::Loop { .. } => true,
                Statement::Call { function, .. } => translation.has_loops(function),
                _ => super::blocks(statement).any(|block| within(translation, block)),
            })
        }
        within(self, &self.shader.module.functions[function].body)
    }

    /// A constant expression.
    pub(super) fn global_value(&self, expression: Handle<Expression>) -> Result<Value> {
        let module = &self.shader.module;
        let unsupported = || Unsupported::new(module.global_expressions.get_span(expression), "this constant");
        match module.global_expressions[expression] {
            Expression::Literal(value) => literal(value).ok_or_else(unsupported),
            Expression::Constant(constant) => self.global_value(module.constants[constant].init),
            Expression::Override(value) => {
                let name = module.overrides[value].name.as_deref().unwrap_or_default();
                Ok(Value::uniform(format!("shader.{}", ident(name))))
            }
            Expression::ZeroValue(ty) => {
                zero(module, &module.types[ty].inner).map(Value::uniform).ok_or_else(unsupported)
            }
            Expression::Splat { size, value } => {
                Ok(Value::uniform(format!("{}::splat({})", vector(size), self.global_value(value)?.text)))
            }
            Expression::Compose { ty, ref components } => {
                let values: Result<Vec<Value>> = components.iter().map(|&part| self.global_value(part)).collect();
                let texts: Vec<String> = values?.into_iter().map(|value| value.text).collect();
                match module.types[ty].inner {
                    TypeInner::Vector { size, .. } if texts.len() == size as usize => {
                        let fields = texts.iter().zip(COMPONENTS).map(|(text, name)| format!("{name}: {text}"));
                        let fields: Vec<String> = fields.collect();
                        Ok(Value::uniform(format!("{} {{ {} }}", vector(size), fields.join(", "))))
                    }
                    TypeInner::Array { .. } | TypeInner::Matrix { .. } => {
                        Ok(Value::uniform(format!("[{}]", texts.join(", "))))
                    }
                    ref inner @ TypeInner::Struct { .. } => {
                        Ok(Value::uniform(struct_value(module, inner, &Class::Uniform, texts)))
                    }
                    _ => Err(unsupported()),
                }
            }
            _ => Err(unsupported()),
        }
    }
}
