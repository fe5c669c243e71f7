//! Activation functions and arithmetic.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::super::export::SELU;
use super::batch::Batch;
use super::constant::Constant;
use super::node::Node;
use super::{Importer, Result};
use crate::layers::{
    Activation, Add, Average, ELU, LeakyReLU, Maximum, Minimum, Multiply, PReLU, PerChannel, ReLU, Rescaling, Subtract,
};

/// Whether two numbers are the same but for rounding.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1e-3)
}

impl<'a> Importer<'a> {
    /// Several nodes that are one function: `x sigmoid(x)`, `x hard_sigmoid(x)`, and GELU. Returns the name of the last
    /// node's output.
    pub(super) fn elementwise_group(&mut self, node: &Node<'a>) -> Result<Option<(&'a str, Batch)>> {
        let found = match node.op() {
            "Sigmoid" => self.gated(node).map(|found| (Activation::Swish, 0, found)),
            "HardSigmoid" if self.is_keras_hard_sigmoid(node) => {
                self.gated(node).map(|found| (Activation::HardSilu, 0, found))
            }
            "Div" | "Mul" => self.gelu(node)?.map(|(x, nodes, output)| (Activation::Gelu, x, (nodes, output))),
            _ => None,
        };
        let Some((function, x, (nodes, output))) = found else { return Ok(None) };
        self.done.extend(nodes);
        self.apply(node, x, function).map(|batch| Some((output, batch)))
    }

    fn is_keras_hard_sigmoid(&self, node: &Node<'a>) -> bool {
        near(node.float("alpha").unwrap_or(0.2), 1.0 / 6.0) && near(node.float("beta").unwrap_or(0.5), 0.5)
    }

    /// The product of a node's input and output, if nothing else uses the output.
    fn gated(&self, node: &Node<'a>) -> Option<(Vec<usize>, &'a str)> {
        let (x, y) = (node.input(0)?, node.outputs().first()?);
        let (index, product) = self.only_user(y).filter(|(_, user)| user.op() == "Mul")?;
        let inputs = product.inputs();
        let is_gate = inputs.len() == 2 && inputs.iter().any(|name| name == x) && inputs.contains(y);
        Some((vec![index], product.outputs().first()?.as_str())).filter(|_| is_gate)
    }

    /// The nodes of `x / 2 (1 + erf(x / sqrt 2))` after the first, and the index of `x` among the inputs of the first.
    fn gelu(&mut self, node: &Node<'a>) -> Result<Option<(usize, Vec<usize>, &'a str)>> {
        let output = |node: &Node<'a>| node.outputs().first().map(String::as_str).unwrap_or_default();
        let Some(constant) = (0..2).find(|&i| node.input(i).is_some_and(|name| self.is_constant(name))) else {
            return Ok(None);
        };
        let (factor, x) = (self.constant(node, constant)?.single(), 1 - constant);
        let is_scaled = match node.op() {
            "Div" => constant == 1 && factor.is_some_and(|factor| near(factor, SQRT_2)),
            _ => factor.is_some_and(|factor| near(factor, FRAC_1_SQRT_2)),
        };
        let Some((erf, erf_node)) = self.only_user(output(node)).filter(|(_, user)| is_scaled && user.op() == "Erf")
        else {
            return Ok(None);
        };
        let (mut nodes, mut last, mut half) = (vec![erf], erf_node, false);
        // The rest in any order: + 1, times x, times 1/2.
        let (mut plus, mut times) = (false, false);
        while !(plus && times && half) {
            let name = output(&last);
            let Some((index, user)) = self.only_user(name) else { return Ok(None) };
            let other = user.inputs().iter().position(|input| input != name);
            let Some(other) = other.filter(|_| user.inputs().len() == 2) else { return Ok(None) };
            let is_x = user.input(other) == node.input(x);
            let number = match user.input(other).is_some_and(|name| self.is_constant(name)) {
                true => self.constant(&user, other)?.single(),
                false => None,
            };
            match (user.op(), number) {
                ("Add", Some(one)) if one == 1.0 && !plus => plus = true,
                ("Mul", None) if is_x && plus && !times => times = true,
                ("Mul", Some(factor)) if factor == 0.5 && plus && !half => half = true,
                _ => return Ok(None),
            }
            nodes.push(index);
            last = user;
        }
        Ok(Some((x, nodes, output(&last))))
    }

    /// Appends a function of an input.
    fn apply(&mut self, node: &Node<'a>, index: usize, function: impl Into<Activation>) -> Result<Batch> {
        let x = self.flat_batch(node, index)?;
        let function = function.into();
        let is_positive = match function {
            Activation::Relu | Activation::Sigmoid | Activation::Relu6 | Activation::HardSigmoid => true,
            Activation::Softplus | Activation::Exponential | Activation::SparseSigmoid => true,
            Activation::ReLULayer(ReLU { negative_slope, .. }) => negative_slope == 0.0,
            _ => false,
        };
        let y = self.push(node, function, &[x.node], vec![])?;
        Ok(Batch { node: y, is_positive, ..x })
    }

    pub(super) fn activation(&mut self, node: &Node<'a>) -> Result<Batch> {
        let alpha = |default: f32| f64::from(node.float("alpha").unwrap_or(default));
        match node.op() {
            "Relu" => self.apply(node, 0, Activation::Relu),
            "Sigmoid" => self.apply(node, 0, Activation::Sigmoid),
            "Tanh" => self.apply(node, 0, Activation::Tanh),
            "Softplus" => self.apply(node, 0, Activation::Softplus),
            "Softsign" => self.apply(node, 0, Activation::Softsign),
            "Exp" => self.apply(node, 0, Activation::Exponential),
            "HardSwish" => self.apply(node, 0, Activation::HardSilu),
            "Mish" => self.apply(node, 0, Activation::Mish),
            "Elu" => self.apply(node, 0, ELU::new(alpha(1.0))),
            "LeakyRelu" => self.apply(node, 0, LeakyReLU::new(alpha(0.01))),
            "ThresholdedRelu" => self.apply(node, 0, ReLU::new().threshold(alpha(1.0))),
            "Celu" => {
                let alpha = alpha(1.0);
                match alpha == 1.0 {
                    true => self.apply(node, 0, Activation::Celu),
                    false => Err(node.wrong("alpha", "1", alpha.to_string()).into()),
                }
            }
            "Selu" => {
                let [alpha, gamma] = [node.float("alpha"), node.float("gamma")];
                let found = [alpha.unwrap_or(SELU[0]), gamma.unwrap_or(SELU[1])];
                match near(found[0], SELU[0]) && near(found[1], SELU[1]) {
                    true => self.apply(node, 0, Activation::Selu),
                    false => Err(node.wrong("alpha and gamma", format!("{SELU:?}"), format!("{found:?}")).into()),
                }
            }
            "Gelu" => match node.string("approximate").unwrap_or("none") {
                "none" => self.apply(node, 0, Activation::Gelu),
                "tanh" => self.apply(node, 0, Activation::GeluTanh),
                found => Err(node.wrong("approximate", "none or tanh", found).into()),
            },
            "Shrink" => {
                let [bias, lambd] = [node.float("bias").unwrap_or(0.0), node.float("lambd").unwrap_or(0.5)];
                match (lambd == 0.5, bias) {
                    (true, 0.0) => self.apply(node, 0, Activation::HardShrink),
                    (true, 0.5) => self.apply(node, 0, Activation::SoftShrink),
                    _ => Err(node.wrong("lambd and bias", "0.5 and 0 or 0.5", format!("{lambd} and {bias}")).into()),
                }
            }
            "HardSigmoid" => self.hard_sigmoid(node),
            "Clip" => self.clip(node),
            "PRelu" => self.prelu(node),
            "Softmax" | "LogSoftmax" => self.softmax(node),
            "Neg" => self.linear(node, 0, -1.0, 0.0),
            _ => Err(node.problem("an operator that Kiln has as a layer", "another").into()),
        }
    }

    /// `scale x + offset`
    fn linear(&mut self, node: &Node<'a>, index: usize, scale: f32, offset: f32) -> Result<Batch> {
        let x = self.flat_batch(node, index)?;
        self.rescaled(node, &x, scale, offset)
    }

    fn rescaled(&mut self, node: &Node<'a>, x: &Batch, scale: f32, offset: f32) -> Result<Batch> {
        let layer = Rescaling::new(f64::from(scale)).offset(f64::from(offset));
        let is_positive = x.is_positive && scale >= 0.0 && offset >= 0.0;
        Ok(Batch { node: self.push(node, layer, &[x.node], vec![])?, is_positive, ..x.clone() })
    }

    /// `min(max(alpha x + beta, 0), 1)`
    fn hard_sigmoid(&mut self, node: &Node<'a>) -> Result<Batch> {
        let [slope, shift] = [node.float("alpha").unwrap_or(0.2), node.float("beta").unwrap_or(0.5)];
        if near(shift, 0.5) && near(slope, 1.0 / 6.0) {
            return self.apply(node, 0, Activation::HardSigmoid);
        }
        let x = self.linear(node, 0, slope, shift)?;
        self.bounded(node, &x, Some(0.0), Some(1.0))
    }

    fn clip(&mut self, node: &Node<'a>) -> Result<Batch> {
        let low = match node.float("min") {
            Some(low) => Some(low),
            None => self.number(node, 1)?,
        };
        let high = match node.float("max") {
            Some(high) => Some(high),
            None => self.number(node, 2)?,
        };
        let x = self.flat_batch(node, 0)?;
        self.bounded(node, &x, low.filter(|low| *low > f32::MIN), high.filter(|high| *high < f32::MAX))
    }

    /// `min(max(x, low), high)`, where only bounds of one sign move values to 0 and back: rounding errors are those of the
    /// bound, which may be far larger than the values.
    fn bounded(&mut self, node: &Node<'a>, x: &Batch, low: Option<f32>, high: Option<f32>) -> Result<Batch> {
        let y = match (low, high) {
            (None, None) => return Ok(x.clone()),
            (Some(low), Some(high)) if low > high => {
                return Err(node.problem("min of at most max", format!("{low} and {high}")).into());
            }
            (Some(low), _) if low.is_nan() => return Err(node.problem("bounds that are numbers", "NaN").into()),
            (_, Some(high)) if high.is_nan() => return Err(node.problem("bounds that are numbers", "NaN").into()),
            (Some(0.0), None) => self.function(node, x, Activation::Relu)?,
            (Some(0.0), Some(6.0)) => self.function(node, x, Activation::Relu6)?,
            (Some(0.0), Some(high)) => self.function(node, x, ReLU::new().max_value(f64::from(high)))?,
            (Some(-1.0), Some(1.0)) => self.function(node, x, Activation::HardTanh)?,
            (Some(low), high) if low > 0.0 => {
                let above = self.rescaled(node, x, 1.0, -low)?;
                let range = high.map_or(ReLU::new(), |high| ReLU::new().max_value(f64::from(high) - f64::from(low)));
                let above = self.function(node, &above, range)?;
                self.rescaled(node, &above, 1.0, low)?
            }
            // max(x, low) is -min(-x, -low).
            (low, high) if low.is_some() || high.is_some_and(|high| high < 0.0) => {
                let below = match high.filter(|high| *high >= 0.0) {
                    Some(high) => self.bounded(node, x, None, Some(high))?,
                    None => x.clone(),
                };
                let negative = self.rescaled(node, &below, -1.0, 0.0)?;
                let [above, below] = [low, high.filter(|high| *high < 0.0)].map(|bound| bound.map(|bound| -bound));
                let negative = self.bounded(node, &negative, below, above)?;
                self.rescaled(node, &negative, -1.0, 0.0)?
            }
            // min(x, high) above 0, and x below.
            (_, high) => {
                let high = high.map(f64::from);
                self.function(node, x, ReLU { max_value: high, negative_slope: 1.0, ..ReLU::new() })?
            }
        };
        Ok(Batch { is_positive: low.is_some_and(|low| low >= 0.0), ..y })
    }

    fn function(&mut self, node: &Node<'a>, x: &Batch, function: impl Into<Activation>) -> Result<Batch> {
        Ok(Batch { node: self.push(node, function.into(), &[x.node], vec![])?, ..x.clone() })
    }

    fn prelu(&mut self, node: &Node<'a>) -> Result<Batch> {
        let slope = self.constant(node, 1)?;
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        // The slope's extents along all axes of the graph.
        let missing = rank.checked_sub(slope.dims.len());
        let dims = missing.map(|missing| [&vec![1; missing][..], &slope.dims].concat());
        let sample = self.sample(&x);
        let fits = |dims: &Vec<usize>| {
            let extents =
                x.axes[1..].iter().zip(&sample).all(|(&axis, &extent)| dims[axis] == extent || dims[axis] == 1);
            dims[0] == 1 && extents && x.axes[0] == 0
        };
        let wrong = || node.problem("a slope with extents of the input, or 1", format!("{:?}", slope.dims));
        let dims = dims.filter(fits).ok_or_else(wrong)?;
        let values = Constant { dims: dims.clone(), ..slope }.transposed(&x.axes).values();
        let shared: Vec<i64> = (1..rank)
            .filter(|&place| dims[x.axes[place]] == 1 && sample[place - 1] > 1)
            .map(|place| place as i64)
            .collect();
        let layer = if shared.is_empty() { PReLU::new() } else { PReLU::new().shared_axes(shared) };
        let name = self.name_by_kernel(node, 1);
        let y = self.push_named(node, name, layer, &[x.node], vec![values])?;
        Ok(Batch { node: y, is_positive: false, ..x })
    }

    fn softmax(&mut self, node: &Node<'a>) -> Result<Batch> {
        let x = self.batch(node, 0)?;
        let rank = x.axes.len();
        let is_old = node.opset < 13;
        let axis = node.axes(&[node.int("axis").unwrap_or(if is_old { 1 } else { -1 })], rank)?[0];
        // Until version 12, over all axes from this one on.
        if axis == 0 || is_old && self.dims(&x)[axis + 1..].iter().any(|&extent| extent != 1) {
            return Err(node.wrong("axis", "the last axis", axis.to_string()).into());
        }
        let others = x.axes.iter().copied().filter(|&found| found != axis);
        let order: Vec<usize> = others.chain([axis]).collect();
        let x = self.arranged(node, x, &order)?;
        let is_softmax = node.op() == "Softmax";
        let function = if is_softmax { Activation::Softmax } else { Activation::LogSoftmax };
        let y = self.push(node, function, &[x.node], vec![])?;
        Ok(Batch { node: y, is_positive: is_softmax, ..x })
    }

    /// A function of two values, or of one and a constant.
    pub(super) fn arithmetic(&mut self, node: &Node<'a>) -> Result<Batch> {
        let names: Vec<&str> = node.inputs().iter().map(String::as_str).collect();
        let constant = names.iter().position(|name| self.is_constant(name));
        match (constant, names.len()) {
            (Some(constant), 2) => self.with_constant(node, constant),
            (None, 1) => self.flat_batch(node, 0),
            (None, _) => self.merged(node),
            (Some(_), _) => Err(node.problem("values that depend on the model's input", "a constant").into()),
        }
    }

    /// The batch with the axis last along which a constant has several values, if it is the only one.
    fn with_last(&mut self, node: &Node<'a>, x: Batch, constant: &Constant) -> Result<Batch> {
        let rank = x.axes.len();
        let Some(missing) = rank.checked_sub(constant.dims.len()) else { return Ok(x) };
        let mut long = (0..constant.dims.len()).filter(|&axis| constant.dims[axis] > 1).map(|axis| axis + missing);
        match (long.next(), long.next()) {
            (Some(axis), None) if axis != 0 && x.axes.last() != Some(&axis) => {
                let others = (1..rank).filter(|&other| other != axis);
                let order: Vec<usize> = [0].into_iter().chain(others).chain([axis]).collect();
                self.arranged(node, x, &order)
            }
            _ => Ok(x),
        }
    }

    fn with_constant(&mut self, node: &Node<'a>, index: usize) -> Result<Batch> {
        let constant = self.constant(node, index)?;
        let x = self.flat_batch(node, 1 - index)?;
        let x = self.with_last(node, x, &constant)?;
        let sample = self.sample(&x);
        let channels = sample.last().copied().unwrap_or(1);
        let rank = x.axes.len();
        let of_axis = |i: usize| i + rank - constant.dims.len();
        let last = x.axes.last().copied().unwrap_or_default();
        let is_each = constant.dims.len() <= rank
            && constant.elements() == channels
            && constant.dims.iter().enumerate().all(|(i, &extent)| extent == 1 || of_axis(i) == last);
        let values = constant.values();
        let values = match (&x.flat, is_each && channels > 1) {
            _ if values.len() == 1 && constant.dims.len() <= rank => values,
            (Some(flat), true) => flat.places().iter().map(|&place| values[place]).collect(),
            (None, true) => values,
            _ => {
                let expected = format!("a number, or one for each of {channels} channels");
                return Err(node.problem(expected, format!("a constant {:?}", constant.dims)).into());
            }
        };
        let numbers = |function: &dyn Fn(f64) -> f64| match values[..] {
            [single] => PerChannel::All(function(f64::from(single))),
            _ => PerChannel::Channels(values.iter().map(|&value| function(f64::from(value))).collect()),
        };
        let one = || PerChannel::All(1.0);
        let (scale, offset) = match (node.op(), index) {
            ("Add" | "Sum", _) => (one(), numbers(&|value| value)),
            ("Sub", 1) => (one(), numbers(&|value| -value)),
            ("Sub", _) => (PerChannel::All(-1.0), numbers(&|value| value)),
            ("Mul", _) => (numbers(&|value| value), PerChannel::All(0.0)),
            ("Div", 1) => (numbers(&|value| 1.0 / value), PerChannel::All(0.0)),
            ("Max", _) if values.len() == 1 => return self.bounded(node, &x, Some(values[0]), None),
            ("Min", _) if values.len() == 1 => return self.bounded(node, &x, None, Some(values[0])),
            _ => return Err(node.problem("two values that depend on the model's input", "a constant").into()),
        };
        let is_positive =
            x.is_positive && matches!(node.op(), "Add" | "Mul" | "Div") && values.iter().all(|&value| value >= 0.0);
        let y = self.push(node, Rescaling { scale, offset }, &[x.node], vec![])?;
        Ok(Batch { node: y, is_positive, ..x })
    }

    fn merged(&mut self, node: &Node<'a>) -> Result<Batch> {
        let mut batches = Vec::new();
        for index in 0..node.inputs().len() {
            batches.push(self.batch(node, index)?);
        }
        let axes = batches.first().map(|batch| batch.axes.clone()).unwrap_or_default();
        let is_positive = batches.iter().all(|batch| batch.is_positive) && node.op() != "Sub";
        let mut inputs = Vec::new();
        for batch in batches {
            if batch.axes.len() != axes.len() {
                let found = format!("{} and {} axes", axes.len(), batch.axes.len());
                return Err(node.problem("values of as many axes", found).into());
            }
            inputs.push(self.arranged(node, batch, &axes)?.node);
        }
        let y = match node.op() {
            "Add" | "Sum" => self.push(node, Add::default(), &inputs, vec![]),
            "Sub" => self.push(node, Subtract::default(), &inputs, vec![]),
            "Mul" => self.push(node, Multiply::default(), &inputs, vec![]),
            "Max" => self.push(node, Maximum::default(), &inputs, vec![]),
            "Min" => self.push(node, Minimum::default(), &inputs, vec![]),
            "Mean" => self.push(node, Average::default(), &inputs, vec![]),
            _ => Err(node.problem("a constant divisor", "a value that is computed").into()),
        }?;
        Ok(Batch { node: y, axes, is_positive, flat: None })
    }
}
