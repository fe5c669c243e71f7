//! Appending layers to a network: their shapes and variables.

use kiln_graph::Shape;

use super::nested::{FOREIGN, INPUTS, INSIDE};
use super::{ModelClass, Network, Node, PlacedLayer, PlacedVariable, snake_case};
use crate::LayerError;
use crate::layers::{BuildError, Layer, Named, Variable};
use crate::optimizers::ParameterGroup;

/// A layer to be called: a new one, or a further call of one of the network.
pub(super) struct NewCall {
    /// The path.
    pub name: String,
    pub layer: Named,
    /// The index of the first call of a shared layer.
    pub first: Option<usize>,
}

impl Network {
    /// Appends a layer after the last one. [`Network::check`] reports an invalid layer.
    pub fn push(&mut self, layer: Named) {
        let output = self.output();
        if self.outputs.len() > 1 {
            let name = layer.name.clone().unwrap_or_else(|| snake_case(layer.layer.class_name()));
            let expected = "a model with one output; use `apply` to connect a layer to one of several".to_owned();
            let error = unfit(&name, &*layer.layer, expected, format!("{} outputs", self.outputs.len()));
            self.broken.get_or_insert(error);
        }
        self.push_on(layer, &[output]);
    }

    /// Appends a layer with these inputs; its output becomes the network's only output. [`Network::check`] reports an
    /// invalid layer.
    pub fn push_on(&mut self, layer: Named, inputs: &[Node]) -> Node {
        // Sequential models cannot save a layer's `training` argument.
        if *inputs != self.outputs[..] || layer.training.is_some() {
            self.class = ModelClass::Functional;
        }
        let inside = inputs.iter().any(|&input| self.is_inside(input));
        let name = layer.name.clone().unwrap_or_else(|| self.names.free(layer.layer.class_name()));
        if name.contains('/') {
            let error = self.not_unique(&name, &*layer.layer);
            self.broken.get_or_insert(error);
        }
        if inside {
            let error = unfit(&name, &*layer.layer, INPUTS.to_owned(), INSIDE.to_owned());
            self.broken.get_or_insert(error);
        }
        self.place(NewCall { name, layer, first: None }, inputs)
    }

    /// Appends a call of a layer, whose output becomes the network's only one.
    pub(super) fn place(&mut self, NewCall { name, layer, first }: NewCall, inputs: &[Node]) -> Node {
        let Named { layer, trainable, training, .. } = layer;
        let start = self.variables.len();
        let placed = match self.input_shapes(&name, &*layer, inputs) {
            Ok(Some(inputs)) => self.fit(&name, &*layer, first, &inputs).map(|fits| Some((inputs, fits))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let shapes = match placed {
            Ok(placed) => placed.map(|(inputs, (output, variables))| {
                if first.is_none() {
                    self.place_variables(&name, variables);
                }
                (inputs, output)
            }),
            Err(error) => {
                self.broken.get_or_insert(error);
                None
            }
        };
        self.names.insert(&name);
        let inputs = inputs.iter().copied().filter(|&input| self.has(input)).collect();
        let variables = first.map_or(start..self.variables.len(), |first| self.layers[first].variables.clone());
        let first = first.unwrap_or(self.layers.len());
        self.layers.push(PlacedLayer { name, layer, first, inputs, shapes, variables, trainable, training });
        let output = self.output_of(self.layers.len() - 1);
        self.outputs = vec![output];
        output
    }

    /// The shapes of a layer's inputs; `None` after an invalid layer.
    fn input_shapes(
        &self,
        name: &str,
        layer: &dyn Layer,
        inputs: &[Node],
    ) -> std::result::Result<Option<Vec<Shape>>, LayerError> {
        if inputs.is_empty() || inputs.iter().any(|&input| !self.has(input)) {
            let found = if inputs.is_empty() { "no inputs" } else { FOREIGN }.to_owned();
            return Err(unfit(name, layer, INPUTS.to_owned(), found));
        }
        Ok(inputs.iter().map(|&input| self.shape(input).cloned()).collect())
    }

    fn not_unique(&self, name: &str, layer: &dyn Layer) -> LayerError {
        unfit(name, layer, "a unique name without `/`".to_owned(), format!("`{name}`"))
    }

    /// The output shape of a layer for these inputs, and its variables.
    fn fit(
        &self,
        name: &str,
        layer: &dyn Layer,
        first: Option<usize>,
        inputs: &[Shape],
    ) -> std::result::Result<(Shape, Vec<Variable>), LayerError> {
        let error = |expected: String, found: String| Err(unfit(name, layer, expected, found));
        if first.is_none() && (name.is_empty() || self.names.contains(name)) {
            return Err(self.not_unique(name, layer));
        }
        let sizes = || format!("tensors of 1 to {} elements", u32::MAX);
        let found = || match inputs {
            [input] => format!("an input {input}"),
            _ => format!("inputs {}", inputs.iter().map(Shape::to_string).collect::<Vec<_>>().join(", ")),
        };
        if !inputs.iter().all(addressable) {
            return error(sizes(), found());
        }
        let output = match layer.merged_shape(inputs) {
            Ok(output) => output,
            Err(BuildError::Input { expected }) => return error(expected, found()),
            Err(BuildError::Argument { argument, expected, found }) => {
                return Err(LayerError { argument: Some(argument), ..unfit(name, layer, expected, found) });
            }
        };
        let variables = inputs.first().map(|input| layer.variables(input)).unwrap_or_default();
        let shapes = || variables.iter().map(|variable| &variable.shape).chain([&output]);
        if let Some(shape) = shapes().find(|shape| !addressable(shape)) {
            return error(sizes(), shape.to_string());
        }
        if let Some(first) = first {
            let own = &self.variables[self.layers[first].variables.clone()];
            let same = own.iter().map(|variable| &variable.shape).eq(variables.iter().map(|variable| &variable.shape));
            if !same {
                return error("an input that fits the weights of the layer's first call".to_owned(), found());
            }
        }
        for Variable { name, shape, initializer, regularizer, constraint, .. } in &variables {
            if let Some(expected) = initializer.misfit(shape) {
                return error(expected, format!("{initializer:?} of a {name} {shape}"));
            }
            if let Some((expected, found)) = regularizer.and_then(|found| Some((found.misfit()?, found))) {
                return error(expected, format!("{found:?} of a {name}"));
            }
            if let Some((expected, found)) = constraint.as_ref().and_then(|found| Some((found.misfit(shape)?, found))) {
                return error(expected, format!("{found:?} of a {name} {shape}"));
            }
        }
        Ok((output, variables))
    }

    fn place_variables(&mut self, layer_name: &str, variables: Vec<Variable>) {
        for variable in variables {
            let name = format!("{layer_name}/{}", variable.name);
            let (start, layer) = (self.values(), self.layers.len());
            let Variable { shape, initializer, regularizer, constraint, trainable, .. } = variable;
            let group = ParameterGroup::default();
            let placed =
                PlacedVariable { name, shape, initializer, regularizer, constraint, layer, trainable, group, start };
            self.variables.push(placed);
        }
    }
}

/// An error of a layer, for its inputs or its position.
pub(super) fn unfit(name: &str, layer: &dyn Layer, expected: String, found: String) -> LayerError {
    LayerError { layer: name.to_owned(), class_name: layer.class_name(), argument: None, expected, found }
}

/// Whether a tensor is not empty and within the range of a kernel's 32-bit indices.
fn addressable(shape: &Shape) -> bool {
    let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    elements.is_some_and(|elements| (1..=u32::MAX as usize).contains(&elements))
}
