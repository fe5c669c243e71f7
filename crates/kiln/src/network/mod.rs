//! Layers in the order in which they run, what each takes, their shapes and their variables.

mod names;
mod order;
mod parts;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kiln_graph::{Graph, Shape, Tensor};

use crate::layers::{Call, Expected, Initializer, Layer, Named, Regularizer, Variable};
use crate::optimizers::ParameterGroup;
use crate::{Error, LayerError, Result};

use names::Names;
pub(crate) use names::snake_case;

/// What comes into a model, or what one of its layers gives: what another layer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    network: u64,
    /// 0 is the model's input, then follow the layers.
    index: usize,
}

impl Node {
    /// The index of the layer that gives it; `None` for the model's input.
    pub(crate) fn layer(self) -> Option<usize> {
        self.index.checked_sub(1)
    }
}

impl AsRef<[Node]> for Node {
    fn as_ref(&self) -> &[Node] {
        std::slice::from_ref(self)
    }
}

/// Keras' class of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelClass {
    /// A chain, which does not count its input as a layer.
    Sequential,
    /// A graph, whose first layer is its input.
    Functional,
}

/// Layers, each of which takes what comes into the model or what layers before it give.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// No other network's, but for copies.
    id: u64,
    pub class: ModelClass,
    pub name: String,
    /// What a model file calls the input.
    pub input_name: String,
    pub input_shape: Shape,
    pub layers: Vec<PlacedLayer>,
    pub variables: Vec<PlacedVariable>,
    /// What the model gives.
    pub output: Node,
    broken: Option<LayerError>,
    names: Names,
}

/// A layer in its place.
#[derive(Clone, Debug)]
pub(crate) struct PlacedLayer {
    pub name: String,
    pub layer: Arc<dyn Layer>,
    /// What it takes.
    pub inputs: Vec<Node>,
    /// The shapes of one sample going in and coming out, unknown behind a layer that does not fit.
    pub shapes: Option<(Vec<Shape>, Shape)>,
    /// Which of the network's variables it has.
    pub variables: Range<usize>,
    /// Whether training changes them.
    pub trainable: bool,
    /// Whether the layer is called as in a training step; as the network is, if nothing is said.
    pub training: Option<bool>,
    /// How fast its variables learn and decay.
    pub group: ParameterGroup,
}

/// A variable in its place.
#[derive(Clone, Debug)]
pub(crate) struct PlacedVariable {
    /// `layer/variable`.
    pub name: String,
    pub shape: Shape,
    pub initializer: Initializer,
    /// What training adds to the loss for its values.
    pub regularizer: Option<Regularizer>,
    /// Which layer it belongs to.
    pub layer: usize,
    /// Whether the optimizer may change it.
    pub trainable: bool,
    /// Where it starts among the values of all variables, one after the other.
    pub start: usize,
}

impl PlacedVariable {
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.shape.elements()
    }
}

impl Network {
    pub fn new(class: ModelClass, input_shape: Shape) -> Network {
        static NETWORKS: AtomicU64 = AtomicU64::new(0);
        let id = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let name = match class {
            ModelClass::Sequential => "sequential",
            ModelClass::Functional => "functional",
        };
        Network {
            id,
            class,
            name: name.to_owned(),
            input_name: "input_layer".to_owned(),
            input_shape,
            layers: Vec::new(),
            variables: Vec::new(),
            output: Node { network: id, index: 0 },
            broken: None,
            names: Names::default(),
        }
    }

    /// What comes in.
    pub fn input(&self) -> Node {
        Node { network: self.id, index: 0 }
    }

    /// What the layer of this index gives.
    pub fn output_of(&self, layer: usize) -> Node {
        Node { network: self.id, index: layer + 1 }
    }

    /// Appends a layer that takes what the last one gives. One that does not fit is kept, and [`Network::check`] tells.
    pub fn push(&mut self, layer: Named) {
        self.push_on(layer, &[self.output]);
    }

    /// Appends a layer that takes what these nodes give, and has the network give what it gives. One that does not fit
    /// is kept, and [`Network::check`] tells.
    pub fn push_on(&mut self, Named { name, layer, trainable, training }: Named, inputs: &[Node]) -> Node {
        // A chain has no place for how a layer is called.
        if *inputs != [self.output] || training.is_some() {
            self.class = ModelClass::Functional;
        }
        let name = name.unwrap_or_else(|| self.names.free(layer.class_name()));
        let first = self.variables.len();
        let placed = match self.input_shapes(&name, &*layer, inputs) {
            Ok(Some(inputs)) => self.fit(&name, &*layer, &inputs).map(|fits| Some((inputs, fits))),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        let shapes = match placed {
            Ok(placed) => placed.map(|(inputs, (output, variables))| {
                self.place_variables(&name, variables);
                (inputs, output)
            }),
            Err(error) => {
                self.broken.get_or_insert(error);
                None
            }
        };
        self.names.insert(&name);
        let inputs = inputs.iter().copied().filter(|&input| self.has(input)).collect();
        let variables = first..self.variables.len();
        let group = ParameterGroup::default();
        self.layers.push(PlacedLayer { name, layer, inputs, shapes, variables, trainable, training, group });
        self.output = self.output_of(self.layers.len() - 1);
        self.output
    }

    /// Has the network give what one of its nodes gives.
    pub fn set_output(&mut self, output: Node) {
        if output != self.output {
            (self.class, self.output) = (ModelClass::Functional, output);
        }
    }

    /// The shapes of what a layer takes; nothing behind a layer that does not fit.
    fn input_shapes(
        &self,
        name: &str,
        layer: &dyn Layer,
        inputs: &[Node],
    ) -> std::result::Result<Option<Vec<Shape>>, LayerError> {
        if inputs.is_empty() || inputs.iter().any(|&input| !self.has(input)) {
            let expected = "to take what this model's input or its layers give".to_owned();
            let found = if inputs.is_empty() { "nothing" } else { "what a layer of another model gives" }.to_owned();
            return Err(LayerError { layer: name.to_owned(), class_name: layer.class_name(), expected, found });
        }
        Ok(inputs.iter().map(|&input| self.shape(input).cloned()).collect())
    }

    /// The name of the layer that gives a node, or of the input.
    pub fn name_of(&self, node: Node) -> &str {
        node.layer().map_or(&self.input_name, |index| &self.layers[index].name)
    }

    /// Whether a node is one of this network.
    pub fn has(&self, node: Node) -> bool {
        node.network == self.id && node.index <= self.layers.len()
    }

    /// Whether another network is a copy of this one as it is now, or one that was only frozen or thawed since.
    pub fn is_copy_of(&self, other: &Network) -> bool {
        (self.id, self.layers.len(), self.output) == (other.id, other.layers.len(), other.output)
    }

    /// # Errors
    /// When there is no layer, or one that does not fit or that the output does not need.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone().into());
        }
        if self.layers.is_empty() {
            return Err(Error::Empty(self.name.clone()));
        }
        if let Some(placed) = self.layers.iter().find(|placed| self.moves_in_predictions(placed)) {
            let expected = "to be frozen, or called without `training=True`".to_owned();
            let found = "`training=True`, with which a prediction would use and move the statistics of its batch";
            let (layer, class_name) = (placed.name.clone(), placed.layer.class_name());
            return Err(LayerError { layer, class_name, expected, found: found.to_owned() }.into());
        }
        let needed = self.needed_for(self.output);
        match (0..self.layers.len()).find(|index| !needed.contains(index)) {
            Some(index) => {
                let PlacedLayer { name, layer, .. } = &self.layers[index];
                let expected = "to be on the way to the model's output".to_owned();
                let found = "a layer that nothing takes".to_owned();
                Err(LayerError { layer: name.clone(), class_name: layer.class_name(), expected, found }.into())
            }
            None => Ok(()),
        }
    }

    /// Whether a layer keeps statistics of its own, as batch normalization does.
    pub fn keeps_statistics(&self, placed: &PlacedLayer) -> bool {
        self.variables[placed.variables.clone()].iter().any(|variable| !variable.trainable)
    }

    /// Whether a layer is called so that it would move its statistics outside of a training, too.
    fn moves_in_predictions(&self, placed: &PlacedLayer) -> bool {
        placed.training == Some(true) && placed.trainable && self.keeps_statistics(placed)
    }

    /// Which layer does not fit, and why.
    pub fn broken(&self) -> Option<&LayerError> {
        self.broken.as_ref()
    }

    /// The shape of what comes out for one sample; the input's if there is no layer, or one does not fit.
    pub fn output_shape(&self) -> &Shape {
        self.shape(self.output).unwrap_or(&self.input_shape)
    }

    /// The most values that a sample has on its way: as it comes in or as a layer gives it.
    pub fn largest_sample(&self) -> usize {
        let outputs = self.layers.iter().filter_map(|layer| layer.shapes.as_ref()).map(|(_, output)| output);
        outputs.chain([&self.input_shape]).map(|shape| shape.elements()).max().unwrap_or(1)
    }

    /// The shape of what a node gives for one sample; `None` behind a layer that does not fit, and for a node of another
    /// network.
    pub fn shape(&self, node: Node) -> Option<&Shape> {
        match node.layer() {
            None => Some(&self.input_shape),
            Some(index) => self.layers.get(index)?.shapes.as_ref().map(|(_, output)| output),
        }
    }

    /// How many values all variables have together.
    pub fn values(&self) -> usize {
        self.variables.last().map_or(0, |last| last.range().end)
    }

    /// Whether the optimizer changes a variable.
    pub fn trains(&self, variable: &PlacedVariable) -> bool {
        variable.trainable && self.layers.get(variable.layer).is_some_and(|layer| layer.trainable)
    }

    /// How fast a variable learns and decays.
    pub fn group_of(&self, variable: &PlacedVariable) -> ParameterGroup {
        self.layers.get(variable.layer).map_or_else(ParameterGroup::default, |layer| layer.group)
    }

    /// The layers whose variables learn or decay otherwise than the optimizer says, by name.
    pub fn groups(&self) -> Vec<(String, ParameterGroup)> {
        let own = self.layers.iter().filter(|layer| layer.group != ParameterGroup::default());
        own.map(|layer| (layer.name.clone(), layer.group)).collect()
    }

    /// Appends all layers behind a node to a graph, for a batch `x` of what it gives, of a training or not; gives what
    /// comes out.
    pub fn call(
        &self,
        graph: &mut Graph,
        (entry, x): (Node, Tensor),
        variables: &[Tensor],
        training: bool,
    ) -> Result<Tensor> {
        let mut given = vec![None; self.layers.len() + 1]; // by node
        given[entry.index] = Some(x);
        for (index, placed) in self.layers.iter().enumerate() {
            let inputs: Option<Vec<Tensor>> = placed.inputs.iter().map(|input| given[input.index]).collect();
            let Some(inputs) = inputs.filter(|_| given[index + 1].is_none()) else { continue };
            graph.scope(placed.name.clone());
            let (trainable, stream) = (placed.trainable, index as u32 + 1);
            let variables = &variables[placed.variables.clone()];
            let training = placed.training.unwrap_or(training);
            let mut call = Call { graph, inputs: &inputs, variables, training, trainable, stream };
            given[index + 1] = Some(placed.layer.call(&mut call)?);
        }
        given[self.output.index].ok_or_else(|| Error::Empty(self.name.clone()))
    }

    /// The shape that a layer gives for these inputs, and its variables.
    fn fit(
        &self,
        name: &str,
        layer: &dyn Layer,
        inputs: &[Shape],
    ) -> std::result::Result<(Shape, Vec<Variable>), LayerError> {
        let error = |expected: String, found: String| {
            Err(LayerError { layer: name.to_owned(), class_name: layer.class_name(), expected, found })
        };
        if name.is_empty() || name.contains('/') || self.names.contains(name) {
            return error("a name that no other layer has, without `/`".to_owned(), format!("`{name}`"));
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
            Err(Expected(expected)) => return error(expected, found()),
        };
        let variables = inputs.first().map(|input| layer.variables(input)).unwrap_or_default();
        let shapes = || variables.iter().map(|variable| &variable.shape).chain([&output]);
        if let Some(shape) = shapes().find(|shape| !addressable(shape)) {
            return error(sizes(), shape.to_string());
        }
        for Variable { name, shape, initializer, regularizer, .. } in &variables {
            if let Some(expected) = initializer.misfit(shape) {
                return error(expected, format!("{initializer:?} of a {name} {shape}"));
            }
            if let Some((expected, found)) = regularizer.and_then(|found| Some((found.misfit()?, found))) {
                return error(expected, format!("{found:?} of a {name}"));
            }
        }
        Ok((output, variables))
    }

    fn place_variables(&mut self, layer_name: &str, variables: Vec<Variable>) {
        for variable in variables {
            let name = format!("{layer_name}/{}", variable.name);
            let (start, layer) = (self.values(), self.layers.len());
            let Variable { shape, initializer, regularizer, trainable, .. } = variable;
            self.variables.push(PlacedVariable { name, shape, initializer, regularizer, layer, trainable, start });
        }
    }
}

/// Whether a tensor has elements, and not more than a kernel's 32-bit indices reach.
fn addressable(shape: &Shape) -> bool {
    let elements = shape.iter().try_fold(1usize, |product, &extent| product.checked_mul(extent));
    elements.is_some_and(|elements| (1..=u32::MAX as usize).contains(&elements))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::layers::{Conv2D, Dense, Flatten, MaxPooling2D};

    fn network<const N: usize>(layers: [Named; N]) -> Network {
        let mut network = Network::new(ModelClass::Sequential, Shape::from([8, 8, 1]));
        for layer in layers {
            network.push(layer);
        }
        network
    }

    #[test]
    fn layers_are_named_as_keras_names_them() {
        let network = network([
            Conv2D::new(2, [3, 3]).into(),
            Conv2D::new(2, [3, 3]).into(),
            MaxPooling2D::new([2, 2]).into(),
            Flatten.into(),
            Dense::new(3).named("head"),
            Dense::new(3).into(),
        ]);
        let names: Vec<&str> = network.layers.iter().map(|placed| placed.name.as_str()).collect();
        assert_eq!(names, ["conv2d", "conv2d_1", "max_pooling2d", "flatten", "head", "dense"]);
        assert_eq!(snake_case("BatchNormalization"), "batch_normalization");
        assert_eq!(snake_case("GlobalAveragePooling2D"), "global_average_pooling2d");
        assert_eq!(snake_case("AveragePooling2D"), "average_pooling2d");
        assert_eq!([snake_case("ReLU"), snake_case("LeakyReLU"), snake_case("ELU")], ["re_lu", "leaky_re_lu", "elu"]);
    }

    #[test]
    fn variables_are_named_after_their_layers_and_lie_one_after_the_other() {
        let network = network([Conv2D::new(2, [3, 3]).into(), Flatten.into(), Dense::new(3).into()]);
        let names: Vec<&str> = network.variables.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias"]);
        let ranges: Vec<Range<usize>> = network.variables.iter().map(PlacedVariable::range).collect();
        assert_eq!(ranges, [0..18, 18..20, 20..236, 236..239]);
    }

    #[test]
    fn the_first_layer_that_does_not_fit_is_named() {
        let network = network([MaxPooling2D::new([2, 2]).into(), Conv2D::new(2, [5, 5]).named("c"), Flatten.into()]);
        let error = network.check().unwrap_err().to_string();
        assert_eq!(
            error,
            "c (Conv2D): expected an image of at least 5 x 5, or padding 'same', found an input [4, 4, 1]"
        );
    }

    #[test]
    fn two_layers_of_one_name_are_an_error() {
        let network = network([Flatten.named("a"), Dense::new(1).named("a")]);
        let error = network.check().unwrap_err().to_string();
        assert_eq!(error, "a (Dense): expected a name that no other layer has, without `/`, found `a`");
        assert!(
            Network::new(ModelClass::Sequential, Shape::from([1]))
                .check()
                .unwrap_err()
                .to_string()
                .contains("has no layer")
        );
    }

    #[test]
    fn a_network_of_a_hundred_thousand_layers_is_built_checked_and_ordered() {
        const LAYERS: usize = 100_000;
        let mut network = Network::new(ModelClass::Functional, Shape::from([2]));
        for _ in 0..LAYERS {
            network.push(Flatten.into());
        }
        network.check().unwrap();
        assert_eq!(network.layers[LAYERS - 1].name, format!("flatten_{}", LAYERS - 1));
        let ordered = network.ordered();
        assert_eq!((ordered.len(), ordered[LAYERS]), (LAYERS + 1, network.output));
    }

    #[test]
    fn a_name_that_was_given_is_passed_over() {
        let network = network([Flatten.named("flatten_1"), Flatten.into(), Flatten.into(), Flatten.into()]);
        let names: Vec<&str> = network.layers.iter().map(|placed| placed.name.as_str()).collect();
        assert_eq!(names, ["flatten_1", "flatten", "flatten_2", "flatten_3"]);
    }

    #[test]
    fn tensors_that_no_kernel_can_index_are_an_error() {
        let wide = network([Flatten.into(), Dense::new(usize::MAX).into()]).check().unwrap_err().to_string();
        assert_eq!(
            wide,
            format!("dense (Dense): expected tensors of 1 to 4294967295 elements, found [64, {}]", usize::MAX)
        );
        let mut network = Network::new(ModelClass::Sequential, Shape::from([1 << 40, 1 << 40]));
        network.push(Flatten.into());
        assert!(network.check().unwrap_err().to_string().contains("found an input [1099511627776, 1099511627776]"));
        let mut network = Network::new(ModelClass::Sequential, Shape::from([0]));
        network.push(Flatten.into());
        assert!(network.check().unwrap_err().to_string().ends_with("found an input [0]"));
    }
}
