//! Reads the pickled objects of PyTorch's state dicts. Only the opcodes and names that they need are known; all others are
//! errors, and nothing is ever executed.
//!
//! Values are in one list and refer to each other by index, so that no input makes this recurse.

use std::collections::HashMap;

/// The largest pickled object that is read, in bytes. A state dict has about 150 bytes per tensor.
pub(super) const MOST: u64 = 16 << 20;

/// The index of a value.
type Id = usize;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// `None`, a number, or a list: not part of a tensor.
    Other,
    Bool,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// `module name`
    Global(String),
    Storage(Storage),
    Tensor(PickledTensor),
}

/// A block of elements in another part of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its name in the file.
    pub key: String,
    /// PyTorch's name of the element type: `Float`.
    pub dtype: String,
    /// The number of elements.
    pub elements: u64,
}

/// A tensor of a state dict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PickledTensor {
    pub storage: Storage,
    /// The index of the first element.
    pub offset: u64,
    pub shape: Vec<usize>,
    /// Whether the elements follow each other in row-major order.
    pub contiguous: bool,
}

/// What a name may be called with, and returns.
const DICT: &str = "collections OrderedDict";
const TENSOR: [&str; 2] = ["torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_tensor"];
const PARAMETER: &str = "torch._utils _rebuild_parameter";
const SIZE: &str = "torch Size";

/// Reads one object from the start of `bytes`.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

/// A complete object.
pub(super) struct Object {
    values: Vec<Value>,
    root: Id,
    /// The number of bytes that it takes.
    pub length: usize,
}

impl Object {
    /// The tensors of a state dict, or of the one under `state_dict` or `model` of a checkpoint, by name.
    ///
    /// # Errors
    /// If it is something else.
    pub fn tensors(self) -> Result<Vec<(String, PickledTensor)>, String> {
        let tensors = self.tensors_of(self.root);
        let wrapped = || ["state_dict", "model"].iter().find_map(|name| self.tensors_of(self.member(name)?));
        tensors.or_else(wrapped).ok_or_else(|| {
            "expected a state dict of tensors by name, found another object; in PyTorch, save `model.state_dict()`"
                .to_owned()
        })
    }

    /// The texts of a list, in order; the elements of PyTorch's old format are listed by them.
    pub fn texts(&self) -> Option<Vec<String>> {
        let Value::Tuple(ids) = &self.values[self.root] else { return None };
        let text = |&id: &Id| match &self.values[id] {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        ids.iter().map(text).collect()
    }

    fn member(&self, name: &str) -> Option<Id> {
        let Value::Dict(entries) = &self.values[self.root] else { return None };
        let entry = entries.iter().find(|(key, _)| matches!(&self.values[*key], Value::Text(text) if text == name));
        entry.map(|&(_, value)| value)
    }

    fn tensors_of(&self, dict: Id) -> Option<Vec<(String, PickledTensor)>> {
        let Value::Dict(entries) = &self.values[dict] else { return None };
        let tensor = |&(key, value): &(Id, Id)| match (&self.values[key], &self.values[value]) {
            (Value::Text(name), Value::Tensor(tensor)) => Some((name.clone(), tensor.clone())),
            _ => None,
        };
        let tensors: Vec<_> = entries.iter().filter_map(tensor).collect();
        Some(tensors).filter(|tensors| !tensors.is_empty())
    }
}

impl<'a> Pickle<'a> {
    /// # Errors
    /// The unknown opcode or name, or what is missing.
    pub fn read(bytes: &'a [u8]) -> Result<Object, String> {
        let (values, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
        let mut pickle = Pickle { bytes, at: 0, values, stack, marks, memo: HashMap::new() };
        while pickle.step()? {}
        let root = pickle.pop()?;
        Ok(Object { values: pickle.values, root, length: pickle.at })
    }

    /// Executes an opcode; false after the last.
    fn step(&mut self) -> Result<bool, String> {
        let at = self.at;
        match self.take(1)?[0] {
            0x80 => drop(self.take(1)?), // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'.' => return Ok(false),    // STOP
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::Other),
            0x88 | 0x89 => self.push(Value::Bool),
            b'}' => self.push(Value::Dict(Vec::new())),
            b']' | b')' => self.push(Value::Tuple(Vec::new())),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            b'K' => {
                let [value] = self.array()?;
                self.push(Value::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(value.into()));
            }
            0x8a => {
                let [length] = self.array()?;
                let value = long(self.take(length.into())?);
                self.push(value);
            }
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            0x8c => {
                let [length] = self.array()?;
                self.text(length.into())?;
            }
            b'q' => {
                let [place] = self.array()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place)?;
            }
            0x94 => self.remember(self.memo.len() as u32)?, // MEMOIZE
            b'h' => {
                let [place] = self.array()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place)?;
            }
            b't' => {
                let items = self.since_mark()?;
                self.push(Value::Tuple(items));
            }
            code @ 0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let start = self.stack.len().checked_sub(count).ok_or("a tuple of too few values")?;
                let items = self.stack.split_off(start);
                self.push(Value::Tuple(items));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (self.values[module].clone(), self.values[name].clone()) {
                    (Value::Text(module), Value::Text(name)) => self.global(&module, &name)?,
                    _ => return Err("a name that is no text".to_owned()),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(storage);
            }
            b'R' => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let value = self.call(callee, arguments)?;
                self.push(value);
            }
            b'b' => drop(self.pop()?), // BUILD: attributes of the dict, such as the versions of modules
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.since_mark()?;
                self.extend_dict(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' => {
                let items = self.since_mark()?;
                self.extend_list(&items)?;
            }
            code => return Err(format!("opcode {code:#04x} at byte {at} is not one of a state dict")),
        }
        Ok(true)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..count));
        self.at = self.at.saturating_add(count);
        bytes.ok_or_else(|| "the pickled object is truncated".to_owned())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "the pickled object is truncated".to_owned())
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(256).position(|&byte| byte == b'\n').ok_or("a name without an end")?;
        let line = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let text = String::from_utf8(self.take(length)?.to_vec()).map_err(|error| error.to_string())?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "a value is missing".to_owned())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "a value is missing".to_owned())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.split_off(mark.ok_or("a mark is missing")?))
    }

    fn remember(&mut self, place: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), String> {
        let id = *self.memo.get(&place).ok_or("an earlier value is missing")?;
        self.stack.push(id);
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let Value::Dict(entries) = &mut self.values[top] else { return Err("entries of no dict".to_owned()) };
        entries.extend(items.chunks_exact(2).map(|entry| (entry[0], entry[1])));
        Ok(())
    }

    fn extend_list(&mut self, items: &[Id]) -> Result<(), String> {
        let top = self.top()?;
        let Value::Tuple(list) = &mut self.values[top] else { return Err("items of no list".to_owned()) };
        list.extend(items);
        Ok(())
    }

    /// A name, which must be one of those that state dicts have.
    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        let global = format!("{module} {name}");
        let is_storage = ["torch", "torch.storage"].contains(&module) && name.ends_with("Storage");
        if !is_storage && ![DICT, PARAMETER, SIZE].contains(&global.as_str()) && !TENSOR.contains(&global.as_str()) {
            return Err(format!(
                "expected a state dict of tensors, found an object of {module}.{name}, which Kiln does not execute; in \
                 PyTorch, save `model.state_dict()`"
            ));
        }
        self.push(Value::Global(global));
        Ok(())
    }

    fn items(&self, tuple: Id) -> Result<&[Id], String> {
        match &self.values[tuple] {
            Value::Tuple(items) => Ok(items),
            _ => Err("expected a tuple of arguments, found another object".to_owned()),
        }
    }

    /// `("storage", type, key, location, elements)`
    fn storage(&self, id: Id) -> Result<Value, String> {
        let item = |&id: &Id| &self.values[id];
        match self.items(id)?.iter().map(item).collect::<Vec<_>>()[..] {
            [Value::Text(_), Value::Global(kind), Value::Text(key), _, Value::Int(elements), ..] => {
                let kind = kind.rsplit(' ').next().unwrap_or_default();
                let dtype = kind.trim_end_matches("Storage").to_owned();
                let elements = u64::try_from(*elements).map_err(|error| error.to_string())?;
                Ok(Value::Storage(Storage { key: key.clone(), dtype, elements }))
            }
            _ => Err("expected a storage of elements, found another object".to_owned()),
        }
    }

    fn call(&self, callee: Id, arguments: Id) -> Result<Value, String> {
        let Value::Global(name) = &self.values[callee] else { return Err("a call of no name".to_owned()) };
        let arguments = self.items(arguments)?;
        let unknown = || format!("unknown arguments of {}", name.replace(' ', "."));
        match (name.as_str(), arguments) {
            (DICT, []) => Ok(Value::Dict(Vec::new())),
            (SIZE, [sizes]) => Ok(self.values[*sizes].clone()),
            (PARAMETER, [tensor, ..]) if matches!(self.values[*tensor], Value::Tensor(_)) => {
                Ok(self.values[*tensor].clone())
            }
            (name, [storage, offset, shape, strides, ..]) if TENSOR.contains(&name) => {
                let (Value::Storage(storage), Value::Int(offset)) = (&self.values[*storage], &self.values[*offset])
                else {
                    return Err(unknown());
                };
                let numbers = |id: Id| -> Result<Vec<usize>, String> {
                    let number = |&id: &Id| match self.values[id] {
                        Value::Int(number) => usize::try_from(number).ok(),
                        _ => None,
                    };
                    self.items(id)?.iter().map(number).collect::<Option<_>>().ok_or_else(unknown)
                };
                let (shape, strides) = (numbers(*shape)?, numbers(*strides)?);
                let offset = u64::try_from(*offset).map_err(|error| error.to_string())?;
                let contiguous = shape.len() == strides.len() && is_row_major(&shape, &strides);
                Ok(Value::Tensor(PickledTensor { storage: storage.clone(), offset, shape, contiguous }))
            }
            _ => Err(unknown()),
        }
    }
}

/// A number in little-endian two's complement; those of more than 8 bytes are not part of a tensor.
fn long(bytes: &[u8]) -> Value {
    let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut word = [sign; 8];
    match word.get_mut(..bytes.len()) {
        Some(low) => {
            low.copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(word))
        }
        None => Value::Other,
    }
}

fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(strides).rev().all(|(&extent, &stride)| {
        let fits = extent <= 1 || stride == expected;
        expected = expected.saturating_mul(extent);
        fits
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    fn error(bytes: &[u8]) -> String {
        match Pickle::read(bytes).and_then(Object::tensors) {
            Ok(tensors) => panic!("{tensors:?}"),
            Err(error) => error,
        }
    }

    #[test]
    fn names_that_a_state_dict_does_not_have_are_refused() {
        let system = error(b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.");
        assert!(system.contains("found an object of posix.system, which Kiln does not execute"), "{system}");
        for name in
            ["builtins\neval", "torch\nload", "torch._utils\n_rebuild_device_tensor_from_numpy", "numpy\nndarray"]
        {
            assert!(error(format!("\u{80}c{name}\n.").replace('\u{80}', "").as_bytes()).contains("does not execute"));
        }
        assert!(error(b"\x80\x02i__main__\nModel\n.").contains("opcode 0x69 at byte 2"));
    }

    #[test]
    fn truncated_and_contradictory_objects_are_errors() {
        assert_eq!(error(b"\x80\x02}"), "the pickled object is truncated");
        assert_eq!(error(b"."), "a value is missing");
        assert_eq!(error(b"}t."), "a mark is missing");
        assert_eq!(error(b"h\x05."), "an earlier value is missing");
        assert_eq!(error(b"X\xff\xff\xff\xffab"), "the pickled object is truncated");
        assert!(error(b"}.").contains("expected a state dict of tensors by name"));
        assert!(
            error(b"ccollections\nOrderedDict\nK\x01\x85R.").contains("unknown arguments of collections.OrderedDict")
        );
    }

    #[test]
    fn deeply_nested_objects_are_no_recursion() {
        let mut bytes = vec![b')'];
        bytes.extend(vec![0x85; 1 << 20]);
        bytes.push(b'.');
        assert!(error(&bytes).contains("expected a state dict"));
    }

    #[test]
    fn only_elements_that_follow_each_other_are_contiguous() {
        assert!(is_row_major(&[2, 3], &[3, 1]) && is_row_major(&[4, 1, 3], &[3, 77, 1]) && is_row_major(&[], &[]));
        assert!(!is_row_major(&[2, 3], &[1, 2]) && !is_row_major(&[2, 3], &[6, 2]));
    }
}
