//! A few small ops.

use std::any::Any;
use std::sync::Arc;

use kiln_graph::{
    Access, Array, Binding, Call, Error, Gradient, Graph, Kernel, KernelDescriptor, Lowering, Op, Result, Step, Tensor,
    TensorType,
};

const fn binding(name: &'static str, binding: u32, access: Access) -> Binding {
    Binding { name, binding, access, align: 4 }
}

const fn kernel(name: &'static str, bindings: &'static [Binding]) -> Kernel {
    Kernel::new(KernelDescriptor {
        name,
        source: "",
        entry_point: "forward",
        workgroup_size: [64, 1, 1],
        bindings,
        params: None,
        step: false,
        workgroup_memory: 0,
    })
}

const READ_X: Binding = binding("x", 0, Access::Read);
const READ_Y: Binding = binding("y", 1, Access::Read);

static DOUBLE: Kernel = kernel("double.forward", &[READ_X, binding("y", 1, Access::ReadWrite)]);
pub static ADD: Kernel = kernel("add.forward", &[READ_X, READ_Y, binding("z", 2, Access::ReadWrite)]);
static MULTIPLY: Kernel = kernel("multiply.forward", &[READ_X, READ_Y, binding("z", 2, Access::ReadWrite)]);
pub static SUM: Kernel = kernel("sum.forward", &[READ_X, binding("y", 1, Access::ReadWrite)]);
static TRIPLE: Kernel = kernel("triple.forward", &[READ_X, binding("y", 1, Access::ReadWrite)]);
static TRIPLE_ADD: Kernel = kernel("triple_add.forward", &[READ_X, READ_Y, binding("z", 2, Access::ReadWrite)]);
static REPEAT: Kernel = kernel("repeat.forward", &[READ_X, binding("y", 1, Access::ReadWrite)]);
static DESCEND: Kernel =
    kernel("descend.update", &[binding("gradients", 0, Access::Read), binding("parameters", 1, Access::ReadWrite)]);

/// Workgroups of 64 for each element of a tensor.
pub fn call(lowering: &mut Lowering, kernel: &'static Kernel, arguments: &[Tensor]) {
    let elements = arguments.last().map_or(0, |&written| lowering.shape(written).elements());
    let workgroups = [elements.div_ceil(64) as u32, 1, 1];
    // SAFETY: the kernels are not trusted.
    let call = unsafe { Call::new(kernel, arguments.to_vec(), Vec::new(), Vec::new(), workgroups) };
    lowering.push(call.flops(elements));
}

fn one(op: &'static str, inputs: &[TensorType]) -> Result<TensorType> {
    match inputs {
        [x] => Ok(x.clone()),
        _ => Err(Error::inputs(op, "one tensor", inputs)),
    }
}

fn pair(op: &'static str, inputs: &[TensorType]) -> Result<TensorType> {
    match inputs {
        [x, y] if x == y => Ok(x.clone()),
        _ => Err(Error::inputs(op, "two tensors of one type", inputs)),
    }
}

fn each(x: &Array, y: &Array, f: impl Fn(f64, f64) -> f64) -> Vec<Array> {
    vec![Array::new(x.ty.clone(), x.data.iter().zip(&y.data).map(|(&x, &y)| f(x, y)).collect())]
}

/// `y = 2 x`
#[derive(Debug)]
pub struct Double;

impl Op for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![one(self.name(), inputs)?])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &DOUBLE, &[lowering.inputs()[0], lowering.outputs()[0]]);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        if let Some(dy) = gradient.output_gradient(0) {
            let dx = gradient.add(Double, &[dy])?;
            gradient.set(0, dx);
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[0], |x, _| 2.0 * x)
    }
}

/// `y = 3 x`, and fused with a following [`Add`] `z = 3 x + y`. Has no gradient.
#[derive(Debug)]
pub struct Triple;

impl Op for Triple {
    fn name(&self) -> &'static str {
        "triple"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![one(self.name(), inputs)?])
    }

    fn fuse(&self, next: &dyn Op, _: usize) -> Option<Arc<dyn Op>> {
        (next as &dyn Any).is::<Add>().then(|| Arc::new(TripleAdd) as Arc<dyn Op>)
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &TRIPLE, &[lowering.inputs()[0], lowering.outputs()[0]]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[0], |x, _| 3.0 * x)
    }
}

/// `z = 3 x + y`
#[derive(Debug)]
struct TripleAdd;

impl Op for TripleAdd {
    fn name(&self) -> &'static str {
        "triple_add"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![pair(self.name(), inputs)?])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &TRIPLE_ADD, &[lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[1], |x, y| 3.0 * x + y)
    }
}

/// `z = x + y`. Has no gradient.
#[derive(Debug)]
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![pair(self.name(), inputs)?])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &ADD, &[lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[1], |x, y| x + y)
    }
}

/// `z = x y`, elementwise.
#[derive(Debug)]
pub struct Multiply;

impl Op for Multiply {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![pair(self.name(), inputs)?])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &MULTIPLY, &[lowering.inputs()[0], lowering.inputs()[1], lowering.outputs()[0]]);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        let Some(dz) = gradient.output_gradient(0) else { return Ok(()) };
        for input in 0..2 {
            if gradient.wants(input) {
                let other = gradient.inputs()[1 - input];
                let found = gradient.add(Multiply, &[dz, other])?;
                gradient.set(input, found);
            }
        }
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[1], |x, y| x * y)
    }
}

/// `y = sum of x`, in two passes: one value for each 64 elements, and their sum. Has no gradient.
#[derive(Debug)]
pub struct Sum;

impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        one(self.name(), inputs).map(|_| vec![TensorType::f32([1])])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let (x, y) = (lowering.inputs()[0], lowering.outputs()[0]);
        let parts = lowering.shape(x).elements().div_ceil(64);
        let partial = lowering.scratch(TensorType::f32([parts]));
        call(lowering, &SUM, &[x, partial]);
        call(lowering, &SUM, &[partial, y]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![Array::f32([1], vec![inputs[0].data.iter().sum()])]
    }
}

/// `y[i] = x[0]`. Has no gradient.
#[derive(Debug)]
pub struct Repeat(pub usize);

impl Op for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        one(self.name(), inputs).map(|_| vec![TensorType::f32([self.0])])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &REPEAT, &[lowering.inputs()[0], lowering.outputs()[0]]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        vec![Array::f32([self.0], vec![inputs[0].data[0]; self.0])]
    }
}

/// `p = p - g`: updates the parameters.
#[derive(Debug)]
pub struct Descend;

impl Op for Descend {
    fn name(&self) -> &'static str {
        "descend"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![one(self.name(), inputs)?])
    }

    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        call(lowering, &DESCEND, &[lowering.inputs()[0], lowering.outputs()[0]]);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[1], inputs[0], |p, g| p - g)
    }
}

/// Accepts any inputs and has no outputs.
#[derive(Debug)]
pub struct Swallow;

impl Op for Swallow {
    fn name(&self) -> &'static str {
        "swallow"
    }

    fn infer(&self, _: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(Vec::new())
    }

    fn lower(&self, _: &mut Lowering) -> Result<()> {
        Ok(())
    }

    fn reference(&self, _: &[&Array], _: &Step) -> Vec<Array> {
        Vec::new()
    }
}

/// `y = x`, whose gradient sets a given tensor for a given input.
#[derive(Debug)]
pub struct Wrong(pub usize, pub Tensor);

impl Op for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn infer(&self, inputs: &[TensorType]) -> Result<Vec<TensorType>> {
        Ok(vec![one(self.name(), inputs)?])
    }

    /// Calls a kernel with a given tensor instead of its input.
    fn lower(&self, lowering: &mut Lowering) -> Result<()> {
        let output = lowering.outputs()[0];
        call(lowering, &DOUBLE, &[self.1, output]);
        Ok(())
    }

    fn gradient(&self, gradient: &mut Gradient) -> Result<()> {
        gradient.set(self.0, self.1);
        Ok(())
    }

    fn reference(&self, inputs: &[&Array], _: &Step) -> Vec<Array> {
        each(inputs[0], inputs[0], |x, _| x)
    }
}

/// A persistent tensor of floats, in its own buffer.
pub fn given(graph: &mut Graph, name: &str, elements: usize) -> Tensor {
    let buffer = graph.buffer(name);
    graph.persistent(TensorType::f32([elements]), buffer, 0)
}

/// Keeps a tensor after the program has run, in its own buffer.
pub fn keep(graph: &mut Graph, tensor: Tensor, name: &str) {
    let buffer = graph.buffer(name);
    graph.place(tensor, buffer, 0).unwrap();
}

/// The op that adds the gradients of a tensor with several uses.
pub fn adding() -> Arc<dyn Op> {
    Arc::new(Add)
}
