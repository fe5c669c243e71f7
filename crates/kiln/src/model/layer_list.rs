//! Selections of a model's layers by name, index or predicate, to inspect or freeze them.

use std::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use kiln_graph::Shape;

use super::{Model, VariableInfo, VariableList};
use crate::network::{Network, Node};
use crate::{Error, Result};

/// A layer of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LayerInfo<'a> {
    /// Its index in Keras' order of `model.layers`, which has the inputs unless the model is a
    /// [`Sequential`](crate::Sequential): index 0, if there is one.
    pub index: usize,
    /// Its name.
    pub name: &'a str,
    /// Its class: `Conv2D`.
    pub class_name: &'static str,
    /// Its output, to connect other layers to; the first, of a nested model with several.
    pub output: Node,
    /// Its output shape for one sample; `None` from the first invalid layer on.
    pub output_shape: Option<&'a Shape>,
    /// Whether training changes its variables.
    pub trainable: bool,
}

impl Model {
    /// The layer of this name. A layer of a [nested model](Model::apply_model) has a path, `model/layer`; `model` is the
    /// nested model itself.
    ///
    /// # Errors
    /// If no layer has this name.
    pub fn get_layer(&self, name: &str) -> Result<LayerInfo<'_>> {
        let infos = infos(&self.network);
        let chosen = name.choose(&infos)?;
        let first = infos[chosen[0]];
        let nested = self.network.nested.iter().find(|model| model.name == name);
        Ok(nested.map_or(first, |model| LayerInfo {
            name: &model.name,
            class_name: model.class_name(),
            output: model.calls[0].outputs[0],
            output_shape: self.network.shape(model.calls[0].outputs[0]),
            trainable: chosen.iter().any(|&index| infos[index].trainable),
            ..first
        }))
    }

    /// Selects layers, in Keras' order: `..249` for the first 249 of a model (including the input, unless the model is a
    /// [`Sequential`](crate::Sequential)), `..` for all, `"conv1"` for the one of that name, or a predicate on
    /// [`LayerInfo`]. In place of a [nested model](Model::apply_model) the list has its layers, under paths
    /// (`model/layer`); its name selects all of them.
    ///
    /// # Example
    /// ```
    /// # use kiln::models;
    /// let mut model = models::lenet([28, 28, 1], 10);
    /// model.layers(..6)?.set_trainable(false);
    /// model.layers("conv2")?.set_trainable(true);
    /// model.layers(|layer: &kiln::LayerInfo| layer.class_name == "Dense")?.set_trainable(false);
    /// let trained: Vec<bool> = model.layers(..)?.iter().map(|layer| layer.trainable).collect();
    /// assert_eq!(trained, [false, false, false, true, false, false, true, false, true, false, true]);
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such layer, or a range goes beyond the last one.
    pub fn layers(&mut self, which: impl LayerSelection) -> Result<LayerList<'_>> {
        let infos = infos(&self.network);
        let chosen = which.choose(&infos)?.into_iter().map(|index| (index, infos[index].output)).collect();
        Ok(LayerList { network: &mut self.network, chosen })
    }

    /// Sets whether training changes the variables of the layer of this name, from the next [`Model::compile`] on. `false`
    /// freezes the layer: see [`Layer::trainable`](crate::layers::Layer::trainable).
    ///
    /// # Errors
    /// If no layer has this name.
    pub fn set_trainable(&mut self, layer: &str, trainable: bool) -> Result<()> {
        self.layers(layer)?.set_trainable(trainable);
        Ok(())
    }

    /// Each batch normalization that is frozen while the convolution or dense layer before it is not, or the reverse: the
    /// names of that layer and of the normalization. They were trained together and no longer match if only one changes, so
    /// [`Model::compile`] warns about it.
    pub fn split_normalizations(&self) -> Vec<(&str, &str)> {
        self.network.split_normalizations()
    }
}

/// All layers, in Keras' order.
fn infos(network: &Network) -> Vec<LayerInfo<'_>> {
    network.ordered().into_iter().enumerate().map(|(index, node)| info(network, index, node)).collect()
}

fn info(network: &Network, index: usize, output: Node) -> LayerInfo<'_> {
    match output.layer() {
        None => LayerInfo {
            index,
            name: network.name_of(output),
            class_name: "InputLayer",
            output,
            output_shape: network.shape(output),
            trainable: true,
        },
        Some(layer) => {
            let placed = &network.layers[layer];
            LayerInfo {
                index,
                name: &placed.name,
                class_name: placed.layer.class_name(),
                output,
                output_shape: placed.shapes.as_ref().map(|(_, output)| output),
                trainable: placed.trainable,
            }
        }
    }
}

/// A selection of a model's layers: see [`Model::layers`].
#[derive(Debug)]
pub struct LayerList<'a> {
    network: &'a mut Network,
    /// Indices in Keras' order, and nodes.
    chosen: Vec<(usize, Node)>,
}

impl LayerList<'_> {
    /// Iterates over the layers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = LayerInfo<'_>> {
        self.chosen.iter().map(|&(index, node)| info(self.network, index, node))
    }

    /// Sets whether training changes their variables, from the next [`Model::compile`] on.
    pub fn set_trainable(&mut self, trainable: bool) {
        for layer in self.chosen.iter().filter_map(|(_, node)| node.layer()) {
            self.network.set_trainable(layer, trainable);
        }
    }

    /// Selects the variables of these layers by a predicate on [`VariableInfo`], to set their learning rate factor or
    /// weight decay.
    ///
    /// # Example
    /// Weight decay for kernels only:
    /// ```
    /// # use kiln::models;
    /// let mut model = models::lenet([28, 28, 1], 10);
    /// model.layers(..)?.variables(|variable| variable.name != "kernel").set_weight_decay(0.0)?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    pub fn variables(&mut self, which: impl Fn(&VariableInfo<'_>) -> bool) -> VariableList<'_> {
        let layers = self.chosen.iter().filter_map(|(_, node)| node.layer());
        let variables = layers.flat_map(|layer| self.network.layers[layer].variables.clone());
        let chosen = variables.filter(|&index| which(&VariableInfo::new(self.network, index))).collect();
        VariableList::new(self.network, chosen)
    }

    /// Multiplies the learning rate of all of their variables: see [`VariableList::set_learning_rate_factor`].
    ///
    /// # Example
    /// ```
    /// # use kiln::models;
    /// let mut model = models::lenet([28, 28, 1], 10);
    /// model.layers(..6)?.set_learning_rate_factor(0.1)?;
    /// model.layers(|layer: &kiln::LayerInfo| layer.class_name == "BatchNormalization")?.set_weight_decay(0.0)?;
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the factor is negative or not finite.
    pub fn set_learning_rate_factor(&mut self, factor: f64) -> Result<()> {
        self.variables(|_| true).set_learning_rate_factor(factor)
    }

    /// Replaces the rate of the optimizer's weight decay for all of their variables: see
    /// [`VariableList::set_weight_decay`].
    ///
    /// # Errors
    /// If the rate is negative or not finite.
    pub fn set_weight_decay(&mut self, rate: impl Into<Option<f64>>) -> Result<()> {
        self.variables(|_| true).set_weight_decay(rate)
    }
}

/// A selector of layers: a name, a range of indices in Keras' order, or a predicate.
pub trait LayerSelection {
    /// The indices of the selected layers among these.
    ///
    /// # Errors
    /// If there are no such layers.
    fn choose(self, layers: &[LayerInfo<'_>]) -> Result<Vec<usize>>;
}

impl LayerSelection for &str {
    fn choose(self, layers: &[LayerInfo<'_>]) -> Result<Vec<usize>> {
        let is_within = |name: &str| name.strip_prefix(self).is_some_and(|rest| rest.starts_with('/'));
        let named = |place: &usize| layers[*place].name == self || is_within(layers[*place].name);
        let chosen: Vec<usize> = (0..layers.len()).filter(named).collect();
        let names = || layers.iter().map(|layer| layer.name).collect::<Vec<_>>().join(", ");
        let expected = || format!("the name of a layer ({})", names());
        let unknown = || Error::Argument { name: "layer", expected: expected(), found: format!("`{self}`") };
        if chosen.is_empty() { Err(unknown()) } else { Ok(chosen) }
    }
}

impl<F: Fn(&LayerInfo<'_>) -> bool> LayerSelection for F {
    fn choose(self, layers: &[LayerInfo<'_>]) -> Result<Vec<usize>> {
        Ok((0..layers.len()).filter(|&place| self(&layers[place])).collect())
    }
}

macro_rules! ranges {
    ($($range:ty),*) => {$(
        impl LayerSelection for $range {
            fn choose(self, layers: &[LayerInfo<'_>]) -> Result<Vec<usize>> {
                places(&self, layers.len())
            }
        }
    )*};
}

ranges!(Range<usize>, RangeFrom<usize>, RangeFull, RangeInclusive<usize>, RangeTo<usize>, RangeToInclusive<usize>);

fn places(range: &impl std::ops::RangeBounds<usize>, layers: usize) -> Result<Vec<usize>> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => layers,
    };
    if start > end || end > layers {
        let (expected, found) = (format!("a range within the {layers} layers"), format!("{start}..{end}"));
        return Err(Error::Argument { name: "layers", expected, found });
    }
    Ok((start..end).collect())
}
