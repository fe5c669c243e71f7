//! A node of a graph: its attributes, which are all read or refused, and its errors.

use std::cell::RefCell;
use std::collections::HashMap;

use super::super::proto::{
    ATTRIBUTE_FLOAT, ATTRIBUTE_FLOATS, ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, ATTRIBUTE_TENSOR,
    AttributeProto, BOOL, DOUBLE, FLOAT, FLOAT16, INT32, INT64, NodeProto,
};
use super::constant::{BATCH, Constant, shown};

/// A node, and which of its attributes were read, each with the type that it must have.
pub(super) struct Node<'a> {
    proto: &'a NodeProto,
    /// The version of the operators.
    pub opset: i64,
    /// The number of samples for which the graph was written, if it is a fixed one.
    pub batch: Option<i64>,
    read: RefCell<HashMap<&'a str, i32>>,
}

impl<'a> Node<'a> {
    pub fn new(proto: &'a NodeProto, opset: i64, batch: Option<i64>) -> Node<'a> {
        Node { proto, opset, batch, read: RefCell::default() }
    }

    /// The operator.
    pub fn op(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The names of the inputs; empty for one that is left out.
    pub fn inputs(&self) -> &'a [String] {
        &self.proto.input
    }

    pub fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Whether the operator is one of ONNX' own.
    pub fn is_standard(&self) -> bool {
        matches!(&*self.proto.domain, "" | "ai.onnx")
    }

    pub fn outputs(&self) -> &'a [String] {
        &self.proto.output
    }

    /// The node's name, or that of its output.
    pub fn name(&self) -> &'a str {
        let name = [&self.proto.name].into_iter().chain(self.proto.output.first());
        name.map(String::as_str).find(|name| !name.is_empty()).unwrap_or("without a name")
    }

    fn attribute(&self, name: &'static str, kind: i32) -> Option<&'a AttributeProto> {
        let attribute = self.proto.attribute.iter().find(|attribute| attribute.name == name)?;
        self.read.borrow_mut().insert(&attribute.name, kind);
        Some(attribute)
    }

    pub fn int(&self, name: &'static str) -> Option<i64> {
        self.attribute(name, ATTRIBUTE_INT).map(|attribute| attribute.i.unwrap_or(0))
    }

    pub fn float(&self, name: &'static str) -> Option<f32> {
        self.attribute(name, ATTRIBUTE_FLOAT).map(|attribute| attribute.f.unwrap_or(0.0))
    }

    pub fn ints(&self, name: &'static str) -> Option<Vec<i64>> {
        self.attribute(name, ATTRIBUTE_INTS).map(|attribute| attribute.ints.clone())
    }

    pub fn floats(&self, name: &'static str) -> Option<Vec<f32>> {
        self.attribute(name, ATTRIBUTE_FLOATS).map(|attribute| attribute.floats.clone())
    }

    pub fn string(&self, name: &'static str) -> Option<&'a str> {
        let attribute = self.attribute(name, ATTRIBUTE_STRING)?;
        Some(attribute.s.as_ref().and_then(|s| str::from_utf8(s).ok()).unwrap_or(""))
    }

    pub fn tensor(&self, name: &'static str) -> Option<Result<Constant, String>> {
        self.attribute(name, ATTRIBUTE_TENSOR)?.t.as_ref().map(|tensor| Constant::read(tensor))
    }

    /// Numbers of at least 1: for height and width of images, or for sequences (of one axis), which are images with one
    /// column.
    pub fn pair(&self, name: &'static str, default: Option<[usize; 2]>, axes: usize) -> Result<[usize; 2], String> {
        let expected = || if axes == 1 { "a number of 1 or more" } else { "two numbers of 1 or more" };
        let Some(ints) = self.ints(name) else {
            return default.ok_or_else(|| self.wrong(name, expected(), "none"));
        };
        let small: Option<Vec<usize>> =
            ints.iter().map(|&int| usize::try_from(int).ok().filter(|&int| (1..1 << 30).contains(&int))).collect();
        match (small.as_deref(), axes) {
            (Some(&[rows]), 1) => Ok([rows, 1]),
            (Some(&[rows, columns]), 2) => Ok([rows, columns]),
            _ => Err(self.wrong(name, expected(), format!("{ints:?}"))),
        }
    }

    /// Refuses an attribute with another value than this one.
    pub fn expect_int(&self, name: &'static str, expected: i64) -> Result<(), String> {
        match self.int(name) {
            Some(found) if found != expected => Err(self.wrong(name, expected.to_string(), found.to_string())),
            _ => Ok(()),
        }
    }

    /// Refuses attributes that nothing has read, or that have another type than was read. Old files lack the type.
    pub fn finish(&self) -> Result<(), String> {
        let read = self.read.borrow();
        for attribute in &self.proto.attribute {
            match read.get(&*attribute.name) {
                None => return Err(self.wrong(&attribute.name, "an attribute that Kiln knows", "another")),
                Some(&kind) if ![0, kind].contains(&attribute.kind) => {
                    let found = format!("type {}", attribute.kind);
                    return Err(self.wrong(&attribute.name, format!("an attribute of type {kind}"), found));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// An error of the node.
    pub fn problem(&self, expected: impl Into<String>, found: impl Into<String>) -> String {
        format!("node `{}` ({}): expected {}, found {}", self.name(), self.op(), expected.into(), found.into())
    }

    /// An error of an attribute or input.
    pub fn wrong(&self, what: &str, expected: impl Into<String>, found: impl Into<String>) -> String {
        format!("node `{}` ({}): {what}: expected {}, found {}", self.name(), self.op(), expected.into(), found.into())
    }

    /// Axes of a tensor, counted from its first axis.
    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
        let place = |&axis: &i64| {
            let axis = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
            usize::try_from(axis).ok().filter(|&axis| axis < rank)
        };
        let places: Option<Vec<usize>> = axes.iter().map(place).collect();
        places.ok_or_else(|| self.problem(format!("axes below {rank}"), format!("{axes:?}")))
    }

    /// The axes of an attribute, or of an input in later versions.
    pub fn given_axes(&self, input: Option<&Constant>) -> Result<Option<Vec<i64>>, String> {
        match (self.ints("axes"), input) {
            (Some(axes), _) => Ok(Some(axes)),
            (None, Some(axes)) => {
                let list = axes.ints().ok_or_else(|| self.wrong("axes", "whole numbers", "floats"))?;
                Ok(Some(list.to_vec()))
            }
            (None, None) => Ok(None),
        }
    }

    /// The shape of the result of Reshape, Flatten, Squeeze or Unsqueeze, for an input of this shape, in which the batch is
    /// [`BATCH`] or a number.
    pub fn target(&self, dims: &[i64], given: Option<&Constant>) -> Result<Vec<i64>, String> {
        let rank = dims.len();
        match self.op() {
            "Flatten" => {
                let axis = self.int("axis").unwrap_or(1);
                let axis = if axis < 0 { axis + rank as i64 } else { axis };
                let axis = usize::try_from(axis).ok().filter(|&axis| axis <= rank);
                let axis = axis.ok_or_else(|| self.wrong("axis", format!("at most {rank}"), "another"))?;
                let product = |dims: &[i64]| match dims {
                    &[single] => single,
                    _ if dims.contains(&BATCH) => -1,
                    _ => dims.iter().product(),
                };
                Ok(vec![product(&dims[..axis]), product(&dims[axis..])])
            }
            "Squeeze" => {
                let axes = match self.given_axes(given)? {
                    Some(axes) => self.axes(&axes, rank)?,
                    // It would also remove the batch, and so move all axes of the following nodes.
                    None if dims.contains(&BATCH) && self.batch == Some(1) => {
                        return Err(self.wrong("axes", "the axes to remove, as the batch has one sample", "none"));
                    }
                    None => (0..rank).filter(|&axis| dims[axis] == 1).collect(),
                };
                if let Some(&axis) = axes.iter().find(|&&axis| dims[axis] != 1) {
                    return Err(self.wrong("axes", "axes of extent 1", format!("axis {axis}")));
                }
                Ok((0..rank).filter(|axis| !axes.contains(axis)).map(|axis| dims[axis]).collect())
            }
            "Unsqueeze" => {
                let axes = self.given_axes(given)?.unwrap_or_default();
                let axes = self.axes(&axes, rank + axes.len())?;
                let mut rest = dims.iter();
                let extent = |axis: usize| if axes.contains(&axis) { Some(1) } else { rest.next().copied() };
                let target: Option<Vec<i64>> = (0..rank + axes.len()).map(extent).collect();
                target.ok_or_else(|| self.wrong("axes", "different axes", format!("{axes:?}")))
            }
            _ => self.reshape_target(dims, given),
        }
    }

    fn reshape_target(&self, dims: &[i64], given: Option<&Constant>) -> Result<Vec<i64>, String> {
        let list = match (self.ints("shape"), given.and_then(Constant::ints)) {
            (Some(shape), _) => shape,
            (None, Some(shape)) => shape.to_vec(),
            (None, None) => return Err(self.wrong("shape", "constant whole numbers", "a value that is computed")),
        };
        let copies_zero = self.int("allowzero").unwrap_or(0) == 0;
        let wrong = || self.wrong("shape", format!("a shape for {}", shown(dims)), shown(&list));
        let copied = |(axis, &extent): (usize, &i64)| match extent {
            0 if copies_zero => dims.get(axis).copied(),
            extent => Some(extent),
        };
        let target: Option<Vec<i64>> = list.iter().enumerate().map(copied).collect();
        let mut target = target.ok_or_else(wrong)?;
        // The batch stays the first axis, so that it is neither needed to find an extent that is left open, nor one itself.
        let batch = dims.first().copied().filter(|&batch| batch == BATCH);
        let mut rest = 0;
        if let (Some(batch), Some(first)) = (batch, target.first_mut())
            && (*first == batch || *first == -1 || Some(*first) == self.batch)
        {
            (*first, rest) = (batch, 1);
        }
        let product = |extents: &[i64]| {
            extents.iter().filter(|&&extent| extent != -1).try_fold(1i64, |n, &extent| n.checked_mul(extent))
        };
        let elements = product(&dims[rest..]).ok_or_else(wrong)?;
        let known = product(&target[rest..]).filter(|&known| known > 0).ok_or_else(wrong)?;
        match target[rest..].iter().filter(|&&extent| extent == -1).count() {
            0 if known == elements => {}
            1 if elements % known == 0 => {
                target[rest..].iter_mut().filter(|extent| **extent == -1).for_each(|extent| *extent = elements / known);
            }
            _ => return Err(wrong()),
        }
        Ok(target)
    }

    /// The places that a Slice keeps along each axis.
    pub fn slices(&self, dims: &[usize], inputs: &[Option<&Constant>]) -> Result<Vec<Vec<usize>>, String> {
        let given = |index: usize, name: &'static str| match (self.ints(name), inputs.get(index).copied().flatten()) {
            (Some(list), _) => Ok(Some(list)),
            (None, Some(list)) => {
                list.ints().map(|list| Some(list.to_vec())).ok_or_else(|| self.wrong(name, "whole numbers", "floats"))
            }
            (None, None) => Ok(None),
        };
        let (starts, ends) = (given(0, "starts")?.unwrap_or_default(), given(1, "ends")?.unwrap_or_default());
        let axes = given(2, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let axes = self.axes(&axes, dims.len())?;
        let steps = given(3, "steps")?.unwrap_or_else(|| vec![1; axes.len()]);
        if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] || steps.contains(&0) {
            return Err(self.problem("as many starts, ends and steps as axes", "others"));
        }
        // In a file, the end of a reversed range may be the smallest number.
        let is_batch = |(index, &end): (usize, &i64)| end == BATCH && steps[index] > 0;
        if starts.contains(&BATCH) || ends.iter().enumerate().any(is_batch) {
            return Err(self.problem("places that do not depend on the batch", "others"));
        }
        let mut kept: Vec<Vec<usize>> = dims.iter().map(|&extent| (0..extent).collect()).collect();
        for (index, axis) in axes.into_iter().enumerate() {
            let (extent, step) = (dims[axis] as i64, steps[index]);
            let place = |at: i64, range: [i64; 2]| {
                (if at < 0 { at.saturating_add(extent) } else { at }).clamp(range[0], range[1])
            };
            let range = if step > 0 { [0, extent] } else { [-1, extent - 1] };
            let (start, end) = (place(starts[index], range), place(ends[index], range));
            let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
            kept[axis] = match step > 0 {
                true => (start..end).step_by(stride).map(|place| place as usize).collect(),
                false => (end + 1..start + 1).rev().step_by(stride).map(|place| place as usize).collect(),
            };
        }
        Ok(kept)
    }

    /// Whether a type of elements is one of floats.
    pub fn is_float_type(&self, data_type: i64) -> Result<bool, String> {
        match i32::try_from(data_type) {
            Ok(FLOAT | DOUBLE | FLOAT16) => Ok(true),
            Ok(INT64 | INT32 | BOOL) => Ok(false),
            _ => Err(self.wrong("to", "a type of floats or whole numbers", data_type.to_string())),
        }
    }
}
