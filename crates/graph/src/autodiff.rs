//! Reverse-mode differentiation: appends the backward nodes to a graph.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::{Error, Graph, Node, Op, Result, Shape, Tensor};

/// The context of [`Op::gradient`]: the node, the gradients of its outputs, and the inputs that need gradients.
#[derive(Debug)]
pub struct Gradient<'a> {
    graph: &'a mut Graph,
    node: Node,
    wanted: Vec<bool>,
    output_gradients: Vec<Option<Tensor>>,
    /// The gradients by index of the input.
    input_gradients: BTreeMap<usize, Tensor>,
}

impl Gradient<'_> {
    /// The node's inputs.
    pub fn inputs(&self) -> &[Tensor] {
        &self.node.inputs
    }

    /// The node's outputs.
    pub fn outputs(&self) -> &[Tensor] {
        &self.node.outputs
    }

    /// Whether the gradient with respect to this input is needed. Compute no others.
    pub fn wants(&self, input: usize) -> bool {
        self.wanted.get(input).copied().unwrap_or_default()
    }

    /// The gradient of the loss with respect to this output; `None` if the loss does not depend on it.
    pub fn output_gradient(&self, output: usize) -> Option<Tensor> {
        self.output_gradients.get(output).copied().flatten()
    }

    /// The shape of a tensor of the graph.
    ///
    /// # Panics
    /// For a tensor of another graph ([`Graph::owns`]).
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        self.graph.shape(tensor)
    }

    /// Applies an op with one output, as [`Graph::add`].
    ///
    /// # Errors
    /// If the op does not support these inputs.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[Tensor]) -> Result<Tensor> {
        self.graph.add(op, inputs)
    }

    /// Applies an op with any number of outputs, as [`Graph::add_shared`].
    ///
    /// # Errors
    /// If the op does not support these inputs.
    pub fn add_shared(&mut self, op: Arc<dyn Op>, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        self.graph.add_shared(op, inputs)
    }

    /// A view with another shape, as [`Graph::reshape`].
    ///
    /// # Errors
    /// If the number of elements differs.
    pub fn reshape(&mut self, tensor: Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
        self.graph.reshape(tensor, shape)
    }

    /// Sets the gradient with respect to an input. An index out of range or a tensor of another graph is an error of
    /// [`Graph::gradients`].
    pub fn set(&mut self, input: usize, gradient: Tensor) {
        self.input_gradients.insert(input, gradient);
    }
}

impl Graph {
    /// Appends the nodes that compute the gradient of `of` with respect to each tensor of `with_respect_to`, where
    /// `seed` is the gradient of `of` itself. The result is `None` for tensors on which `of` does not depend.
    ///
    /// `sum` adds two tensors: the gradients of a tensor with several uses are added in a fixed order. Only tensors
    /// between `with_respect_to` and `of` are differentiated.
    ///
    /// # Errors
    /// If an op on the path has no gradient, or a tensor is of another graph.
    pub fn gradients(
        &mut self,
        of: Tensor,
        seed: Tensor,
        with_respect_to: &[Tensor],
        sum: &Arc<dyn Op>,
    ) -> Result<Vec<Option<Tensor>>> {
        self.expect_own(of, || "the tensor to differentiate".to_owned())?;
        self.expect_own(seed, || "the gradient's seed".to_owned())?;
        for (index, &tensor) in with_respect_to.iter().enumerate() {
            self.expect_own(tensor, || format!("tensor {index} of `with_respect_to`"))?;
        }
        let needed = self.depend_on(with_respect_to);
        let mut arrived: HashMap<Tensor, Tensor> = HashMap::from([(of, seed)]);
        let forward = self.nodes().to_vec();
        let outer = forward.last().map(|node| node.scope.clone()).unwrap_or_default();
        let outer_precision = self.precision();
        let views: Vec<Tensor> = self.all_tensors().filter(|&tensor| self.viewed(tensor).is_some()).collect();
        let mut views = views.into_iter().rev().peekable();

        for node in forward.into_iter().rev().filter(|node| !node.updates) {
            self.scope(node.scope.clone());
            self.set_precision(node.precision);
            // Tensors are numbered in order of creation: views created after this node precede it in the backward pass.
            let newest = node.outputs.iter().max().copied();
            while let Some(view) = views.next_if(|&view| Some(view) > newest) {
                self.through_view(view, &mut arrived, &needed, sum)?;
            }
            let output_gradients: Vec<_> = node.outputs.iter().map(|output| arrived.get(output).copied()).collect();
            let wanted: Vec<bool> = node.inputs.iter().map(|input| needed[input.index()]).collect();
            if output_gradients.iter().all(Option::is_none) || !wanted.contains(&true) {
                continue;
            }
            let (op, inputs) = (node.op.clone(), node.inputs.clone());
            let input_gradients = BTreeMap::new();
            let mut gradient = Gradient { graph: self, node, wanted, output_gradients, input_gradients };
            op.gradient(&mut gradient)?;
            for (input, found) in gradient.input_gradients {
                let (op, count) = (op.name(), inputs.len());
                let Some(&at) = inputs.get(input) else {
                    return Err(Error::NoSuchInput { op, input, inputs: count });
                };
                self.expect_own(found, || format!("the gradient with respect to input {input} of {op}"))?;
                self.arrive(at, found, &mut arrived, sum)?;
            }
        }
        for view in views {
            self.through_view(view, &mut arrived, &needed, sum)?;
        }
        self.scope(outer);
        self.set_precision(outer_precision);
        Ok(with_respect_to.iter().map(|tensor| arrived.get(tensor).copied()).collect())
    }

    /// For each tensor, whether it is one of `roots` or computed from one.
    fn depend_on(&self, roots: &[Tensor]) -> Vec<bool> {
        let mut depends = vec![false; self.tensor_count()];
        for root in roots {
            depends[root.index()] = true;
        }
        // A view is created after the node that computes its base and before any node that uses it, so one pass over
        // the nodes suffices if views are resolved immediately.
        let resolve = |graph: &Graph, depends: &[bool], mut tensor: Tensor| loop {
            if depends[tensor.index()] {
                return true;
            }
            match graph.viewed(tensor) {
                Some(of) => tensor = of,
                None => return false,
            }
        };
        for node in self.nodes().iter().filter(|node| !node.updates) {
            if node.inputs.iter().any(|&input| resolve(self, &depends, input)) {
                for output in &node.outputs {
                    depends[output.index()] = true;
                }
            }
        }
        let all: Vec<bool> = self.all_tensors().map(|tensor| resolve(self, &depends, tensor)).collect();
        all
    }

    fn through_view(
        &mut self,
        view: Tensor,
        arrived: &mut HashMap<Tensor, Tensor>,
        needed: &[bool],
        sum: &Arc<dyn Op>,
    ) -> Result<()> {
        let (Some(&gradient), Some(of)) = (arrived.get(&view), self.viewed(view)) else {
            return Ok(());
        };
        if needed[of.index()] {
            let shape = self.shape(of).clone();
            let gradient = self.reshape(gradient, shape)?;
            self.arrive(of, gradient, arrived, sum)?;
        }
        Ok(())
    }

    fn arrive(
        &mut self,
        at: Tensor,
        gradient: Tensor,
        arrived: &mut HashMap<Tensor, Tensor>,
        sum: &Arc<dyn Op>,
    ) -> Result<()> {
        let gradient = match arrived.get(&at) {
            Some(&earlier) => {
                let added = self.add_shared(sum.clone(), &[earlier, gradient])?.first().copied();
                let types = || [earlier, gradient].map(|tensor| self.ty(tensor).clone());
                added.ok_or_else(|| Error::inputs(sum.name(), "an op with at least one output", &types()))?
            }
            None => gradient,
        };
        arrived.insert(at, gradient);
        Ok(())
    }
}
