//! A custom op in its own crate: the activation mish, compared with its f64 reference on every available device.
//!
//! `cargo run --release -p custom_op`

mod kernels {
    //! The kernels of `shaders/`.
    include!(concat!(env!("OUT_DIR"), "/kernels.rs"));
}
mod layer;
mod mish;
#[cfg(test)]
mod tests;

use std::error::Error;

use kiln::Device;
use kiln::graph::{Array, Buffers, Graph, Interpreter, Plan, Step, Tensor};
use kiln::ops::{ScaleAdd, Sum, gradients};
use mish::Mish;

/// The tolerance for 32-bit floats, relative to the largest value.
const TOLERANCE: f64 = 1e-5;

/// `y = mish(mish(x) - x/2)`, combined with Kiln's own ops, and the gradient `dx` of the sum of `y`.
fn graph(value: &Array) -> Result<(Graph, [Tensor; 3]), Box<dyn Error>> {
    let mut graph = Graph::new();
    let buffer = graph.buffer("x");
    let x = graph.persistent(value.ty.clone(), buffer, 0);
    let inner = graph.add(Mish, &[x])?;
    let mixed = graph.add(ScaleAdd { a: 1.0, b: -0.5 }, &[inner, x])?;
    let y = graph.add(Mish, &[mixed])?;
    let sum = graph.add(Sum { scale: 1.0 }, &[y])?;
    let dx = gradients(&mut graph, sum, &[x])?[0].ok_or("the sum does not depend on x")?;
    for (name, tensor) in [("y", y), ("dx", dx)] {
        let buffer = graph.buffer(name);
        graph.place(tensor, buffer, 0)?;
    }
    Ok((graph, [x, y, dx]))
}

/// Computes `y` and `dx` on a device.
fn run(device: &Device, graph: &Graph, value: &Array) -> Result<[Array; 2], Box<dyn Error>> {
    let device = device.as_dyn();
    let plan = Plan::new(graph, &device.info().limits)?;
    let mut buffers = Buffers::new(device.clone());
    buffers.named("x", value.ty.bytes())?.write(0, &value.to_bytes())?;
    buffers.program(&plan)?.run(&[Step::default()], None)?.wait()?;
    let read = |name| -> Result<Array, Box<dyn Error>> {
        let bytes = buffers.get(name).ok_or("not in the plan")?.read(0, value.ty.bytes())?;
        Ok(Array::from_bytes(value.ty.clone(), &bytes))
    };
    Ok([read("y")?, read("dx")?])
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut value = Array::random([257, 33], 1);
    value.data.iter_mut().for_each(|x| *x *= 30.0);
    let (graph, [x, y, dx]) = graph(&value)?;
    let mut reference = Interpreter::new();
    reference.set(x, value.clone());
    reference.run(&graph, &Step::default());
    let expected = [y, dx].map(|tensor| reference.get(&graph, tensor));

    let mut wrong = 0;
    println!("{:>10} {:>10}  error on", "y", "dx");
    for index in 0..Device::all().len() {
        let device = Device::by_index(index)?;
        let found = run(&device, &graph, &value)?;
        let errors = [0, 1].map(|i| found[i].relative_error(&expected[i]));
        let right = errors.iter().all(|&error| error <= TOLERANCE);
        wrong += usize::from(!right);
        let info = device.info();
        let verdict = if right { "" } else { ": WRONG" };
        println!("{:>10.1e} {:>10.1e}  {info}{verdict}", errors[0], errors[1]);
    }
    if wrong == 0 { Ok(()) } else { Err(format!("{wrong} devices differ from the reference").into()) }
}
