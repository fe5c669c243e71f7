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
    /// A number that is not part of a tensor.
    Other,
    /// Python's `None`.
    None,
    Bool,
    Int(i64),
    Text(String),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// `module name`
    Global(String),
    Storage(Box<Storage>),
    Tensor(Box<PickledTensor>),
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
    /// The distances between adjacent elements along each axis, if the elements follow each other without gaps in some order of
    /// the axes.
    pub strides: Option<Vec<usize>>,
}

impl Storage {
    /// The memory of a copy, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Storage>() + self.key.len() + self.dtype.len()
    }
}

impl PickledTensor {
    /// The memory of a copy, in bytes.
    fn bytes(&self) -> usize {
        size_of::<PickledTensor>() + self.storage.bytes() + 2 * size_of_val(&self.shape[..])
    }

    /// The place of an element, by its index in row-major order, behind the first one.
    pub fn place(&self, index: usize) -> usize {
        let Some(strides) = &self.strides else { return index };
        let (mut rest, mut place) = (index, 0);
        for (&extent, stride) in self.shape.iter().zip(strides).rev() {
            place += rest % extent * stride;
            rest /= extent;
        }
        place
    }
}

/// The memory left for copies of values, in bytes. An object refers to a value with a few bytes, however large it is.
#[derive(Clone, Copy, Debug)]
struct Budget(usize);

impl Budget {
    fn of(pickled: &[u8]) -> Budget {
        const LEAST: usize = 1 << 20;
        Budget(pickled.len().saturating_mul(8).max(LEAST))
    }

    /// # Errors
    /// If less is left.
    fn spend(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or("expected a state dict of tensors, found an object with very many copies of its values")?;
        Ok(())
    }
}

/// The known names. PyTorch's functions are called for tensors, parameters and shapes.
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
    budget: Budget,
}

/// A complete object.
pub(super) struct Object {
    values: Vec<Value>,
    root: Id,
    budget: Budget,
    /// The number of bytes that it takes.
    pub length: usize,
}

impl Object {
    /// The tensors of a state dict, or of the one under `state_dict` or `model` of a checkpoint, by name.
    ///
    /// # Errors
    /// If it is something else, or very large.
    pub fn tensors(self) -> Result<Vec<(String, PickledTensor)>, String> {
        let wrapped = || ["state_dict", "model"].iter().find_map(|name| self.tensors_of(self.member(name)?));
        let entries = self.tensors_of(self.root).or_else(wrapped).ok_or(
            "expected a state dict of tensors by name, found another object; in PyTorch, save `model.state_dict()`",
        )?;
        let (mut tensors, mut budget) = (Vec::new(), self.budget);
        for (name, tensor) in entries {
            budget.spend(name.len() + tensor.bytes())?;
            tensors.push((name.to_owned(), tensor.clone()));
        }
        Ok(tensors)
    }

    /// The texts of a list, in order; the elements of PyTorch's old format are listed by them.
    ///
    /// # Errors
    /// If it is something else, or very large.
    pub fn texts(self) -> Result<Vec<String>, String> {
        let other = "expected a list of storages, found another object";
        let Value::Tuple(ids) = &self.values[self.root] else { return Err(other.to_owned()) };
        let (mut texts, mut budget) = (Vec::new(), self.budget);
        for &id in ids {
            let Value::Text(text) = &self.values[id] else { return Err(other.to_owned()) };
            budget.spend(size_of::<String>() + text.len())?;
            texts.push(text.clone());
        }
        Ok(texts)
    }

    fn member(&self, name: &str) -> Option<Id> {
        let Value::Dict(entries) = &self.values[self.root] else { return None };
        let entry = entries.iter().find(|(key, _)| matches!(&self.values[*key], Value::Text(text) if text == name));
        entry.map(|&(_, value)| value)
    }

    fn tensors_of(&self, dict: Id) -> Option<Vec<(&str, &PickledTensor)>> {
        let Value::Dict(entries) = &self.values[dict] else { return None };
        let mut tensors: Vec<(&str, &PickledTensor)> = Vec::new();
        for &(key, value) in entries {
            if let (Value::Text(name), Value::Tensor(tensor)) = (&self.values[key], &self.values[value]) {
                tensors.push((name.as_str(), tensor.as_ref()));
            }
        }
        Some(tensors).filter(|tensors| !tensors.is_empty())
    }
}

impl<'a> Pickle<'a> {
    /// # Errors
    /// The unknown opcode or name, or the missing value.
    pub fn read(bytes: &'a [u8]) -> Result<Object, String> {
        let (values, stack, marks) = (Vec::new(), Vec::new(), Vec::new());
        let (memo, budget) = (HashMap::new(), Budget::of(bytes));
        let mut pickle = Pickle { bytes, at: 0, values, stack, marks, memo, budget };
        while pickle.step()? {}
        let root = pickle.pop()?;
        Ok(Object { values: pickle.values, root, budget: pickle.budget, length: pickle.at })
    }

    /// Executes an opcode; false after the last.
    fn step(&mut self) -> Result<bool, String> {
        let at = self.at;
        match self.take(1)?[0] {
            0x80 => drop(self.take(1)?), // PROTO
            0x95 => drop(self.take(8)?), // FRAME
            b'.' => return Ok(false),    // STOP
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Value::None),
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
                let items = self.stack.drain(start..).collect();
                self.push(Value::Tuple(items));
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(global(&module, &name)?));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = match (&self.values[module], &self.values[name]) {
                    (Value::Text(module), Value::Text(name)) => global(module, name)?,
                    _ => return Err("a name that is no text".to_owned()),
                };
                self.budget.spend(global.len())?;
                self.push(Value::Global(global));
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.budget.spend(storage.bytes())?;
                self.push(Value::Storage(Box::new(storage)));
            }
            b'R' => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let result = self.call(callee, arguments)?;
                self.stack.push(result);
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
        let id = self.add(value);
        self.stack.push(id);
    }

    fn add(&mut self, value: Value) -> Id {
        self.values.push(value);
        self.values.len() - 1
    }

    fn pop(&mut self) -> Result<Id, String> {
        self.stack.pop().ok_or_else(|| "a value is missing".to_owned())
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(|| "a value is missing".to_owned())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len());
        Ok(self.stack.drain(mark.ok_or("a mark is missing")?..).collect())
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

    fn items(&self, tuple: Id) -> Result<&[Id], String> {
        match &self.values[tuple] {
            Value::Tuple(items) => Ok(items),
            _ => Err("expected a tuple of arguments, found another object".to_owned()),
        }
    }

    /// `("storage", type, key, location, elements)`, and in the old format `None` or the part of a storage that is a view.
    fn storage(&self, id: Id) -> Result<Storage, String> {
        let item = |&id: &Id| &self.values[id];
        let items = self.items(id)?;
        if items.len() > 6 || items.get(5).is_some_and(|&view| self.values[view] != Value::None) {
            let expected = "expected a storage of elements, found a view of a part of one";
            return Err(format!("{expected}; in PyTorch, save the state dict again with a version from 1.6 on"));
        }
        match items.iter().take(5).map(item).collect::<Vec<_>>()[..] {
            [Value::Text(_), Value::Global(kind), Value::Text(key), _, Value::Int(elements)] => {
                let kind = kind.rsplit(' ').next().unwrap_or_default();
                let dtype = kind.trim_end_matches("Storage").to_owned();
                let elements = u64::try_from(*elements).map_err(|error| error.to_string())?;
                Ok(Storage { key: key.clone(), dtype, elements })
            }
            _ => Err("expected a storage of elements, found another object".to_owned()),
        }
    }

    /// The result of a call of a known name.
    fn call(&mut self, callee: Id, arguments: Id) -> Result<Id, String> {
        let Value::Global(name) = &self.values[callee] else { return Err("a call of no name".to_owned()) };
        let arguments = self.items(arguments)?;
        let unknown = || format!("unknown arguments of {}", name.replace(' ', "."));
        let tensor = match (name.as_str(), arguments) {
            (DICT, []) => return Ok(self.add(Value::Dict(Vec::new()))),
            (SIZE, [sizes]) => return Ok(*sizes),
            (PARAMETER, [tensor, ..]) if matches!(self.values[*tensor], Value::Tensor(_)) => return Ok(*tensor),
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
                let strides = Some(strides).filter(|strides| is_dense(&shape, strides));
                PickledTensor { storage: (**storage).clone(), offset, shape, strides }
            }
            _ => return Err(unknown()),
        };
        self.budget.spend(tensor.bytes())?;
        Ok(self.add(Value::Tensor(Box::new(tensor))))
    }
}

/// A name, which must be one of those that state dicts have.
fn global(module: &str, name: &str) -> Result<String, String> {
    let global = format!("{module} {name}");
    let is_storage = ["torch", "torch.storage"].contains(&module) && name.ends_with("Storage");
    if !is_storage && ![DICT, PARAMETER, SIZE].contains(&global.as_str()) && !TENSOR.contains(&global.as_str()) {
        return Err(format!(
            "expected a state dict of tensors, found an object of {module}.{name}, which Kiln does not execute; in \
             PyTorch, save `model.state_dict()`"
        ));
    }
    Ok(global)
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

/// Whether elements follow each other without gaps, in row-major order of the axes or another one.
fn is_dense(shape: &[usize], strides: &[usize]) -> bool {
    let axes = shape.iter().zip(strides);
    let mut axes: Vec<(usize, usize)> = axes.map(|(&extent, &stride)| (stride, extent)).collect();
    axes.retain(|(_, extent)| *extent != 1);
    axes.sort_unstable();
    let mut expected = 1usize;
    let follow = axes.iter().all(|&(stride, extent)| {
        let fits = stride == expected;
        expected = expected.saturating_mul(extent);
        fits
    });
    shape.len() == strides.len() && (follow || shape.contains(&0))
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
    fn copies_of_a_large_value_are_limited() {
        // A list of a text of 64 KiB, 100,000 times.
        let mut bytes = vec![b'('];
        bytes.extend([b'X', 0, 0, 1, 0]);
        bytes.extend(vec![b'a'; 1 << 16]);
        bytes.extend([b'q', 0]);
        bytes.extend([b'h', 0].repeat(100_000));
        bytes.extend([b't', b'.']);
        let error = Pickle::read(&bytes).and_then(Object::texts).unwrap_err();
        assert!(error.contains("found an object with very many copies"), "{error}");
    }

    #[test]
    fn a_view_of_a_storage_is_an_error() {
        let storage = |view: &[u8]| {
            let start = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x04";
            error(&[&start[..], view, b"tQ."].concat())
        };
        assert!(storage(b"X\x01\0\0\0vK\0K\x02\x87").contains("found a view of a part of one"));
        assert!(storage(b"N").contains("expected a state dict of tensors by name"));
    }

    #[test]
    fn deeply_nested_objects_are_no_recursion() {
        let mut bytes = vec![b')'];
        bytes.extend(vec![0x85; 1 << 20]);
        bytes.push(b'.');
        assert!(error(&bytes).contains("expected a state dict"));
    }

    #[test]
    fn only_elements_that_follow_each_other_are_dense() {
        assert!(is_dense(&[2, 3], &[3, 1]) && is_dense(&[4, 1, 3], &[3, 77, 1]) && is_dense(&[], &[]));
        assert!(is_dense(&[2, 3], &[1, 2]) && is_dense(&[2, 3, 4], &[4, 8, 1]) && is_dense(&[0, 3], &[7, 7]));
        assert!(!is_dense(&[2, 3], &[6, 2]) && !is_dense(&[2, 3], &[1, 1]) && !is_dense(&[2, 3], &[0, 1]));
        assert!(!is_dense(&[2, 3], &[1, 3]) && !is_dense(&[2, 3], &[3]));
    }

    #[test]
    fn elements_are_found_by_their_strides() {
        let storage = Storage { key: String::new(), dtype: String::new(), elements: 6 };
        let tensor = PickledTensor { storage, offset: 0, shape: vec![2, 3], strides: Some(vec![1, 2]) };
        assert_eq!((0..6).map(|index| tensor.place(index)).collect::<Vec<_>>(), [0, 2, 4, 1, 3, 5]);
    }
}
