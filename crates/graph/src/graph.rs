//! The graph: nodes in topological order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{DType, Error, Op, Precision, Result, Shape, Tensor, TensorType};

/// The identity of a graph, which prevents mixing tensors and buffers of different graphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GraphId(u64);

impl GraphId {
    /// A new id, unique in this process.
    fn next() -> GraphId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        GraphId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handle to a persistent buffer of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer {
    graph: GraphId,
    index: u32,
}

impl Buffer {
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }
}

/// The storage of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// A buffer slot assigned by the planner, from the node that computes the tensor to its last use.
    Planned,
    /// A buffer that outlives the program, shared with other programs by name.
    Persistent {
        /// The buffer.
        buffer: Buffer,
        /// The offset in bytes.
        offset: u64,
    },
    /// A view of another tensor with the same number of elements: a reshape.
    View(Tensor),
}

/// An op applied to tensors.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The input tensors.
    pub inputs: Vec<Tensor>,
    /// The output tensors or, if `updates`, the updated ones.
    pub outputs: Vec<Tensor>,
    /// Whether the outputs are existing tensors that are updated in place.
    pub updates: bool,
    /// Its scope, usually a layer's name.
    pub scope: String,
    /// The precision of its products.
    pub precision: Precision,
}

#[derive(Clone, Debug)]
struct TensorInfo {
    ty: TensorType,
    storage: Storage,
}

/// Ops applied to tensors, each tensor computed by one node (static single assignment), in topological order.
///
/// One training step is one graph: forward, backward and optimizer.
#[derive(Debug)]
pub struct Graph {
    id: GraphId,
    nodes: Vec<Node>,
    tensors: Vec<TensorInfo>,
    buffers: Vec<String>,
    scope: String,
    precision: Precision,
}

impl Default for Graph {
    fn default() -> Graph {
        Graph::new()
    }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Graph {
        Graph {
            id: GraphId::next(),
            nodes: Vec::new(),
            tensors: Vec::new(),
            buffers: Vec::new(),
            scope: String::new(),
            precision: Precision::Float32,
        }
    }

    /// Sets the scope of subsequent nodes, shown in tables and labels: usually a layer's name.
    pub fn scope(&mut self, name: impl Into<String>) {
        self.scope = name.into();
    }

    /// Sets the precision of the products of subsequent nodes, initially [`Precision::Float32`]. The nodes of a gradient have
    /// the precision of the node that they are the gradient of.
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The precision of the products of subsequent nodes.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The persistent buffer of this name, added on first use. Programs created with the same
    /// [`Buffers`](crate::Buffers) share buffers by name.
    pub fn buffer(&mut self, name: &str) -> Buffer {
        let index = self.buffers.iter().position(|known| known == name).unwrap_or_else(|| {
            self.buffers.push(name.to_owned());
            self.buffers.len() - 1
        });
        Buffer { graph: self.id, index: index as u32 }
    }

    /// A tensor in a persistent buffer, at `offset` bytes (a multiple of 256). A buffer of another graph is an error of
    /// [`Plan::new`](crate::Plan::new).
    pub fn persistent(&mut self, ty: TensorType, buffer: Buffer, offset: u64) -> Tensor {
        self.push(ty, Storage::Persistent { buffer, offset })
    }

    /// Applies an op with one output.
    ///
    /// # Errors
    /// If the op does not support these inputs, or one of them is of another graph.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[Tensor]) -> Result<Tensor> {
        let op: Arc<dyn Op> = Arc::new(op);
        let outputs = self.add_shared(op.clone(), inputs)?;
        let Some(&output) = outputs.first() else {
            let found = self.types(inputs, op.name(), "input")?;
            return Err(Error::inputs(op.name(), "an op with at least one output", &found));
        };
        Ok(output)
    }

    /// Applies an op with any number of outputs.
    ///
    /// # Errors
    /// If the op does not support these inputs, or one of them is of another graph.
    pub fn add_shared(&mut self, op: Arc<dyn Op>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let types = op.infer(&self.types(inputs, op.name(), "input")?)?;
        let outputs: Vec<Tensor> = types.into_iter().map(|ty| self.push(ty, Storage::Planned)).collect();
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            updates: false,
            scope: self.scope.clone(),
            precision: self.precision,
        });
        Ok(outputs)
    }

    /// Applies an op that updates persistent tensors in place: an optimizer's step, a record of metrics.
    ///
    /// # Errors
    /// If the op does not support these inputs or updated tensors, or one of them is of another graph.
    pub fn update(&mut self, op: Arc<dyn Op>, inputs: &[Tensor], rewritten: &[Tensor]) -> Result<()> {
        let found = self.types(rewritten, op.name(), "output")?;
        let expected = op.infer(&self.types(inputs, op.name(), "input")?)?;
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
            precision: self.precision,
        });
        Ok(())
    }

    /// A view with another shape of the same number of elements. Free of cost.
    ///
    /// # Errors
    /// [`Error::Reshape`] if the number of elements differs, [`Error::NotOfGraph`] for a tensor of another graph.
    pub fn reshape(&mut self, tensor: Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
        self.expect_own(tensor, || "the tensor to reshape".to_owned())?;
        let (from, to) = (self.ty(tensor).clone(), shape.into());
        if from.shape.elements() != to.elements() {
            return Err(Error::Reshape { from: from.shape, to });
        }
        if from.shape == to {
            return Ok(tensor);
        }
        Ok(self.push(TensorType::new(to, from.dtype), Storage::View(tensor)))
    }

    /// Moves a planned tensor to a persistent buffer, so that it can be read after the program has run, and so that one
    /// kernel can process several adjacent tensors as one.
    ///
    /// # Errors
    /// [`Error::NotOfGraph`] for a tensor or a buffer of another graph.
    pub fn place(&mut self, tensor: Tensor, buffer: Buffer, offset: u64) -> Result<()> {
        self.expect_own(tensor, || "the tensor to place".to_owned())?;
        self.expect_own_buffer(buffer)?;
        let base = self.base(tensor);
        self.tensors[base.index()].storage = Storage::Persistent { buffer, offset };
        Ok(())
    }

    /// Whether the tensor belongs to this graph.
    pub fn owns(&self, tensor: Tensor) -> bool {
        tensor.graph == self.id && tensor.index() < self.tensors.len()
    }

    /// Whether the tensor is planned: neither persistent nor a view.
    ///
    /// # Panics
    /// For a tensor of another graph ([`Graph::owns`]).
    pub fn is_planned(&self, tensor: Tensor) -> bool {
        self.info(tensor).storage == Storage::Planned
    }

    /// A tensor's type.
    ///
    /// # Panics
    /// For a tensor of another graph ([`Graph::owns`]).
    pub fn ty(&self, tensor: Tensor) -> &TensorType {
        &self.info(tensor).ty
    }

    /// A tensor's extents, in elements.
    ///
    /// # Panics
    /// For a tensor of another graph ([`Graph::owns`]).
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        &self.ty(tensor).shape
    }

    /// The nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The types of an op's tensors; `kind` names them in an error.
    fn types(&self, tensors: &[Tensor], op: &str, kind: &str) -> Result<Vec<TensorType>> {
        let ty = |(index, &tensor): (usize, &Tensor)| {
            self.expect_own(tensor, || format!("{kind} {index} of {op}"))?;
            Ok(self.ty(tensor).clone())
        };
        tensors.iter().enumerate().map(ty).collect()
    }

    /// Returns an error for a tensor of another graph.
    pub(crate) fn expect_own(&self, tensor: Tensor, what: impl FnOnce() -> String) -> Result<()> {
        if self.owns(tensor) { Ok(()) } else { Err(Error::NotOfGraph { what: what() }) }
    }

    /// Returns an error for a buffer of another graph.
    fn expect_own_buffer(&self, buffer: Buffer) -> Result<()> {
        let own = buffer.graph == self.id;
        if own { Ok(()) } else { Err(Error::NotOfGraph { what: "the buffer of a persistent tensor".to_owned() }) }
    }

    /// Returns an error if a tensor is in a buffer of another graph.
    pub(crate) fn check_buffers(&self) -> Result<()> {
        self.tensors.iter().try_for_each(|info| match info.storage {
            Storage::Persistent { buffer, .. } => self.expect_own_buffer(buffer),
            _ => Ok(()),
        })
    }

    fn info(&self, tensor: Tensor) -> &TensorInfo {
        assert!(self.owns(tensor), "the tensor is not of this graph");
        &self.tensors[tensor.index()]
    }

    /// The tensor whose storage this one shares: the base of a view, or itself.
    pub(crate) fn base(&self, mut tensor: Tensor) -> Tensor {
        while let Storage::View(of) = self.info(tensor).storage {
            tensor = of;
        }
        tensor
    }

    /// A tensor's storage, with views resolved.
    pub(crate) fn storage(&self, tensor: Tensor) -> Storage {
        self.info(self.base(tensor)).storage
    }

    /// The tensor of which this one is a view, if any.
    pub(crate) fn viewed(&self, tensor: Tensor) -> Option<Tensor> {
        match self.info(tensor).storage {
            Storage::View(of) => Some(of),
            _ => None,
        }
    }

    pub(crate) fn id(&self) -> GraphId {
        self.id
    }

    pub(crate) fn tensor_count(&self) -> usize {
        self.tensors.len()
    }

    pub(crate) fn buffers(&self) -> &[String] {
        &self.buffers
    }

    pub(crate) fn all_tensors(&self) -> impl Iterator<Item = Tensor> {
        (0..self.tensors.len()).map(|index| self.tensor(index))
    }

    /// The tensor with this index. Indices beyond the graph's own belong to a lowering.
    pub(crate) fn tensor(&self, index: usize) -> Tensor {
        Tensor::new(self.id, index)
    }

    fn push(&mut self, ty: TensorType, storage: Storage) -> Tensor {
        debug_assert!(ty.dtype != DType::U8 || storage != Storage::Planned, "bytes are data, not results");
        self.tensors.push(TensorInfo { ty, storage });
        self.tensor(self.tensors.len() - 1)
    }
}
