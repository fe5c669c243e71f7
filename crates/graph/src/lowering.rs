//! The lowering of an op to kernel calls.

use crate::{Call, Choice, Choices, Error, Graph, Kernel, Limits, Node, Precision, Result, Shape, Tensor, TensorType};

/// One node on its way to kernel calls: all of it, or one of the windows that [`Op::pieces`](crate::Op::pieces) allows.
#[derive(Debug)]
pub struct Lowering<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) node: &'a Node,
    pub(crate) limits: &'a Limits,
    choices: &'a Choices,
    pub(crate) inputs: Vec<Tensor>,
    pub(crate) outputs: Vec<Tensor>,
    /// The node's inputs, while [`Lowering::with_tensors`] has replaced them.
    replaced: Option<Vec<Tensor>>,
    pub(crate) first: usize,
    pub(crate) calls: Vec<Call>,
    pub(crate) locals: Vec<Local>,
    pub(crate) made: Vec<Choice>,
}

/// A tensor that only this node knows. They are numbered behind those of the graph.
#[derive(Debug)]
pub(crate) enum Local {
    /// In its own slot.
    Scratch(TensorType),
    /// In another tensor, at this byte offset.
    Part { of: Tensor, first_byte: u64, ty: TensorType },
}

impl Local {
    pub(crate) fn ty(&self) -> &TensorType {
        match self {
            Local::Scratch(ty) | Local::Part { ty, .. } => ty,
        }
    }
}

impl<'a> Lowering<'a> {
    pub(crate) fn new(graph: &'a Graph, node: &'a Node, limits: &'a Limits, choices: &'a Choices) -> Lowering<'a> {
        Lowering {
            graph,
            node,
            limits,
            choices,
            inputs: node.inputs.clone(),
            outputs: node.outputs.clone(),
            replaced: None,
            first: 0,
            calls: Vec::new(),
            locals: Vec::new(),
            made: Vec::new(),
        }
    }

    /// The node's inputs, or what this window has of them.
    pub fn inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// The node's outputs, or what this window has of them.
    pub fn outputs(&self) -> &[Tensor] {
        &self.outputs
    }

    /// Where in the node's tensors this window begins, in elements or samples as [`Op::pieces`](crate::Op::pieces) has
    /// it; 0 if there is but one.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The shape of the node's first output, all windows of it together.
    pub fn whole_shape(&self) -> Option<&Shape> {
        self.node.outputs.first().map(|&output| self.graph.shape(output))
    }

    /// The types of the node's inputs, for an op that looks at them as its shape rule does.
    pub fn input_types(&self) -> Vec<TensorType> {
        self.inputs.iter().map(|&input| self.ty(input).clone()).collect()
    }

    /// The type of an input, output, scratch tensor or part.
    ///
    /// # Panics
    /// For a tensor of another graph or lowering.
    pub fn ty(&self, tensor: Tensor) -> &TensorType {
        let local = tensor.index().checked_sub(self.graph.tensor_count());
        match local.and_then(|local| self.locals.get(local)).filter(|_| tensor.graph == self.graph.id()) {
            Some(local) => local.ty(),
            None => self.graph.ty(tensor),
        }
    }

    /// The shape of an input, output, scratch tensor or part.
    ///
    /// # Panics
    /// For a tensor of another graph or lowering.
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        &self.ty(tensor).shape
    }

    /// The exact extents of a tensor.
    ///
    /// # Errors
    /// [`Error::Inputs`] if it has another number of axes.
    ///
    /// # Panics
    /// For a tensor of another graph or lowering.
    pub fn dims<const D: usize>(&self, tensor: Tensor) -> Result<[usize; D]> {
        let wrong = || Error::inputs(self.node.op.name(), format!("a tensor of {D} axes"), &[self.ty(tensor).clone()]);
        self.shape(tensor).dims().ok_or_else(wrong)
    }

    /// The device's limits and preferences.
    pub fn limits(&self) -> &Limits {
        self.limits
    }

    /// The precision of the node's products.
    pub fn precision(&self) -> Precision {
        self.node.precision
    }

    /// The place of the kernel to take, of several that give the same bits: the one that was measured to be the fastest
    /// for this op and these inputs on this device, else the first.
    pub fn choose(&mut self, kernels: &[&'static Kernel]) -> usize {
        if kernels.len() < 2 {
            return 0;
        }
        let inputs = self.replaced.as_ref().unwrap_or(&self.inputs);
        let (op, inputs) = (self.node.op.clone(), inputs.iter().map(|&input| self.ty(input).clone()).collect());
        let mut choice = Choice { op, inputs, kernels: kernels.to_vec(), chosen: 0 };
        choice.chosen = self.choices.get(&choice).unwrap_or_default();
        let chosen = choice.chosen;
        self.made.push(choice);
        chosen
    }

    /// Lowers a part of the op as another op, with these inputs and outputs.
    pub fn with_tensors<T>(
        &mut self,
        inputs: Vec<Tensor>,
        outputs: Vec<Tensor>,
        lower: impl FnOnce(&mut Lowering<'a>) -> T,
    ) -> T {
        let inputs = std::mem::replace(&mut self.inputs, inputs);
        let outputs = std::mem::replace(&mut self.outputs, outputs);
        let is_outer = self.replaced.is_none();
        self.replaced.get_or_insert_with(|| inputs.clone());
        let lowered = lower(self);
        (self.inputs, self.outputs) = (inputs, outputs);
        self.replaced = self.replaced.take().filter(|_| !is_outer);
        lowered
    }

    /// A tensor that lives only while this node runs: partial results between two of its calls.
    pub fn scratch(&mut self, ty: TensorType) -> Tensor {
        self.local(Local::Scratch(ty))
    }

    pub(crate) fn local(&mut self, local: Local) -> Tensor {
        self.locals.push(local);
        self.graph.tensor(self.graph.tensor_count() + self.locals.len() - 1)
    }

    /// Appends a kernel call.
    pub fn push(&mut self, call: Call) {
        self.calls.push(call);
    }
}

/// Workgroups along x and y that together hold `invocations`, `per_workgroup` each. Beyond the 65,535 workgroups that
/// WebGPU dispatches along x they fold into y; the kernel's index is `(y * num_workgroups.x + x) * per_workgroup + …`.
pub fn linear_workgroups(invocations: usize, per_workgroup: u32) -> [u32; 3] {
    const MOST: usize = 65_535;
    let groups = invocations.div_ceil(per_workgroup as usize).max(1);
    let rows = groups.div_ceil(MOST);
    [groups.div_ceil(rows) as u32, rows as u32, 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_workgroups_cover_every_invocation_within_webgpus_limit() {
        for invocations in [0, 1, 255, 256, 257, 65_535 * 256, 65_535 * 256 + 1, 1 << 31] {
            let [x, y, z] = linear_workgroups(invocations, 256);
            assert!(x <= 65_535 && y <= 65_535 && z == 1, "{invocations}: {x} x {y}");
            assert!(x as usize * y as usize * 256 >= invocations);
            assert!(x as usize * y as usize * 256 < invocations.max(1) + 256 * (y as usize + 1));
        }
    }
}
