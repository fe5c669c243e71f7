//! The graph: nodes in an order in which they can run.

use std::sync::Arc;

use crate::{DType, Error, Op, Result, Shape, Tensor, TensorType};

/// The name of a persistent buffer in one [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer(pub(crate) u32);

/// Where a tensor's values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In a buffer slot that the planner chooses, from the node that gives it to the last one that takes it.
    Planned,
    /// In a buffer that outlives the program, shared with other programs by its name.
    Persistent {
        /// Which buffer.
        buffer: Buffer,
        /// Where in it, in bytes.
        offset: u64,
    },
    /// In the same place as another tensor of as many elements: a reshape.
    View(Tensor),
}

/// An op applied to tensors.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is applied.
    pub op: Arc<dyn Op>,
    /// The tensors that it takes.
    pub inputs: Vec<Tensor>,
    /// The tensors that it gives or, if `updates`, rewrites.
    pub outputs: Vec<Tensor>,
    /// Whether the outputs existed before and are rewritten.
    pub updates: bool,
    /// The scope in which it was added, usually a layer's name.
    pub scope: String,
}

#[derive(Clone, Debug)]
struct TensorInfo {
    ty: TensorType,
    storage: Storage,
}

/// Ops applied to tensors, each tensor given by one node (single static assignment), in an order in which they can run.
///
/// One training step is one graph: forward, backward and optimizer.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    tensors: Vec<TensorInfo>,
    buffers: Vec<String>,
    scope: String,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Names the nodes that are added from here on, for tables and labels: usually a layer's name.
    pub fn scope(&mut self, name: impl Into<String>) {
        self.scope = name.into();
    }

    /// The persistent buffer of this name, added on first use. Programs that are made with the same
    /// [`Buffers`](crate::Buffers) share buffers of equal names.
    pub fn buffer(&mut self, name: &str) -> Buffer {
        let index = self.buffers.iter().position(|known| known == name).unwrap_or_else(|| {
            self.buffers.push(name.to_owned());
            self.buffers.len() - 1
        });
        Buffer(index as u32)
    }

    /// A tensor that lives in a persistent buffer, `offset` bytes from its start (a multiple of 256).
    pub fn persistent(&mut self, ty: TensorType, buffer: Buffer, offset: u64) -> Tensor {
        self.push(ty, Storage::Persistent { buffer, offset })
    }

    /// Applies an op that gives one tensor.
    ///
    /// # Errors
    /// When the op cannot take these inputs.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[Tensor]) -> Result<Tensor> {
        let op: Arc<dyn Op> = Arc::new(op);
        let outputs = self.add_shared(op.clone(), inputs)?;
        let nothing = || Error::inputs(op.name(), "to give at least one tensor", &self.types(inputs));
        outputs.first().copied().ok_or_else(nothing)
    }

    /// Applies an op that gives any number of tensors.
    ///
    /// # Errors
    /// When the op cannot take these inputs.
    pub fn add_shared(&mut self, op: Arc<dyn Op>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let types = op.infer(&self.types(inputs))?;
        let outputs: Vec<Tensor> = types.into_iter().map(|ty| self.push(ty, Storage::Planned)).collect();
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            updates: false,
            scope: self.scope.clone(),
        });
        Ok(outputs)
    }

    /// Applies an op that rewrites persistent tensors: an optimizer's step, a record of metrics.
    ///
    /// # Errors
    /// When the op cannot take these inputs or rewrite these tensors.
    pub fn update(&mut self, op: Arc<dyn Op>, inputs: &[Tensor], rewritten: &[Tensor]) -> Result<()> {
        let found = self.types(rewritten);
        let expected = op.infer(&self.types(inputs))?;
        if expected.len() != found.len() || expected.iter().zip(&found).any(|(e, f)| e != f) {
            let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
            return Err(Error::inputs(op.name(), format!("to rewrite ({})", expected.join(", ")), &found));
        }
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: rewritten.to_vec(),
            updates: true,
            scope: self.scope.clone(),
        });
        Ok(())
    }

    /// The same values under another shape of as many elements. Costs nothing.
    ///
    /// # Errors
    /// [`Error::Reshape`] when the number of elements differs.
    pub fn reshape(&mut self, tensor: Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
        let (from, to) = (self.ty(tensor).clone(), shape.into());
        if from.shape.elements() != to.elements() {
            return Err(Error::Reshape { from: from.shape, to });
        }
        if from.shape == to {
            return Ok(tensor);
        }
        Ok(self.push(TensorType::new(to, from.dtype), Storage::View(tensor)))
    }

    /// Has a planned tensor live in a persistent buffer instead, so that it can be read after the program ran and so
    /// that one kernel can take several such tensors as one.
    pub fn place(&mut self, tensor: Tensor, buffer: Buffer, offset: u64) {
        let base = self.base(tensor);
        self.tensors[base.index()].storage = Storage::Persistent { buffer, offset };
    }

    /// Whether a node gives this very tensor and it has not been placed: it is neither persistent nor a view.
    pub fn is_planned(&self, tensor: Tensor) -> bool {
        self.tensors[tensor.index()].storage == Storage::Planned
    }

    /// A tensor's type.
    pub fn ty(&self, tensor: Tensor) -> &TensorType {
        &self.tensors[tensor.index()].ty
    }

    /// A tensor's extents, in elements.
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        &self.ty(tensor).shape
    }

    /// The nodes, in an order in which they can run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn types(&self, tensors: &[Tensor]) -> Vec<TensorType> {
        tensors.iter().map(|&tensor| self.ty(tensor).clone()).collect()
    }

    /// The tensor whose storage this one shares: itself, or what it is a view of.
    pub(crate) fn base(&self, mut tensor: Tensor) -> Tensor {
        while let Storage::View(of) = self.tensors[tensor.index()].storage {
            tensor = of;
        }
        tensor
    }

    /// Where a tensor's values live, views resolved.
    pub(crate) fn storage(&self, tensor: Tensor) -> Storage {
        self.tensors[self.base(tensor).index()].storage
    }

    /// What a tensor is a view of, if it is one.
    pub(crate) fn viewed(&self, tensor: Tensor) -> Option<Tensor> {
        match self.tensors[tensor.index()].storage {
            Storage::View(of) => Some(of),
            _ => None,
        }
    }

    pub(crate) fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    pub(crate) fn buffers(&self) -> &[String] {
        &self.buffers
    }

    pub(crate) fn all_tensors(&self) -> impl Iterator<Item = Tensor> {
        (0..self.tensors.len() as u32).map(Tensor)
    }

    fn push(&mut self, ty: TensorType, storage: Storage) -> Tensor {
        debug_assert!(ty.dtype != DType::U8 || storage != Storage::Planned, "bytes are data, not results");
        self.tensors.push(TensorInfo { ty, storage });
        Tensor(self.tensors.len() as u32 - 1)
    }
}
