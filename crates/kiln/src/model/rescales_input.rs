//! Detection of models that rescale their input images.

use serde_json::Value;

use super::Model;
use crate::data::Dataset;
use crate::network::{Node, PlacedLayer};
use crate::{Error, Result};

/// Classes of layers that move, drop, mask, select or average values without scaling them: a rescaling layer may follow
/// them. Some exist in Keras only.
const UNSCALED: [&str; 22] = [
    "ZeroPadding2D",
    "Cropping2D",
    "CenterCrop",
    "Resizing",
    "UpSampling2D",
    "Reshape",
    "Permute",
    "Flatten",
    "Dropout",
    "SpatialDropout2D",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "Identity",
    "MaxPooling2D",
    "AveragePooling2D",
    "GlobalMaxPooling2D",
    "GlobalAveragePooling2D",
];

impl Model {
    /// The name of the layer at the model's input, or the first such layer at one of them, that rescales images from 0 to 255, if there is one: a
    /// `Normalization`, or a [`Rescaling`](crate::layers::Rescaling) with a scale below 1 (`1/255`, `1/127.5`; a scale of 2
    /// expects values that are already scaled). Such a model needs unscaled bytes: scaled twice, images are almost black
    /// and predictions are wrong.
    ///
    /// # Example
    /// ```
    /// use kiln::Sequential;
    /// use kiln::layers::{Dense, Flatten, Rescaling};
    ///
    /// let mut model = Sequential::new([28, 28, 1]);
    /// model.add(Rescaling::new(1.0 / 255.0)).add(Flatten).add(Dense::new(10));
    /// assert_eq!(model.rescales_input(), Some("rescaling"));
    /// ```
    pub fn rescales_input(&self) -> Option<&str> {
        self.inputs().into_iter().find_map(|input| self.rescaling_of(input))
    }

    /// The name of the layer that rescales images of an input.
    fn rescaling_of(&self, input: Node) -> Option<&str> {
        let layers = &self.network().layers;
        let mut nodes = vec![input];
        while let Some(node) = nodes.pop() {
            for (index, layer) in layers.iter().enumerate().filter(|(_, layer)| layer.inputs.contains(&node)) {
                if scales_pictures(layer) {
                    return Some(&layer.name);
                }
                if keeps_scale(layer) {
                    nodes.push(self.network().output_of(index));
                }
            }
        }
        None
    }

    /// # Errors
    /// [`Error::ScaledTwice`] if the scaling of a data set's bytes is not set explicitly, and the model rescales them itself.
    pub(super) fn check_scaling(&self, data: &Dataset) -> Result<()> {
        let inputs = self.inputs().into_iter().zip(data.inputs());
        let mut implied = inputs.filter(|(_, values)| values.scale_is_implied);
        match implied.find_map(|(input, _)| self.rescaling_of(input)) {
            Some(layer) => Err(Error::ScaledTwice { model: self.name().to_owned(), layer: layer.to_owned() }),
            None => Ok(()),
        }
    }
}

/// Whether a layer preserves the scale of values. A rescaling with the scales 1 and -1 only moves or mirrors them, like the
/// first part of `(x - 127.5) / 127.5`.
fn keeps_scale(PlacedLayer { layer, .. }: &PlacedLayer) -> bool {
    let config = layer.config();
    let is_one = |scale: &Value| scale.as_f64().is_some_and(|scale| scale.abs() == 1.0);
    match (layer.class_name(), config.get("scale")) {
        ("Rescaling", Some(Value::Array(scales))) => scales.iter().all(is_one),
        ("Rescaling", Some(scale)) => is_one(scale),
        ("Activation", _) => config.get("activation").is_some_and(|function| function == "linear"),
        (class, _) => UNSCALED.contains(&class),
    }
}

/// Whether a layer expects images from 0 to 255, judging by its scale.
fn scales_pictures(PlacedLayer { layer, .. }: &PlacedLayer) -> bool {
    let shrinks = |scale: &Value| scale.as_f64().is_some_and(|scale| scale.abs() < 1.0);
    match (layer.class_name(), layer.config().get("scale")) {
        ("Normalization", _) => true,
        ("Rescaling", Some(Value::Array(scales))) => scales.iter().any(shrinks),
        ("Rescaling", Some(scale)) => shrinks(scale),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use crate::data::{Dataset, Labels};
    use crate::layers::{
        Activation, Add, AveragePooling2D, Dense, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer,
        MaxPooling2D, Named, RandomContrast, RandomFlip, Rescaling,
    };
    use crate::{Device, Error, Model, Sequential};

    fn of(layers: impl IntoIterator<Item = Named>) -> Model {
        let mut model = Sequential::new([2, 2, 1]);
        for layer in layers {
            model.add(layer);
        }
        model.add(Dense::new(2));
        model
    }

    #[test]
    fn a_rescaling_that_shrinks_counts_at_the_input_and_behind_layers_that_scale_nothing() {
        let own = || Rescaling::new(1.0 / 127.5).offset(-1.0).named("own");
        let cases = [
            (of([own(), Flatten.into()]), true),
            (of([Flatten.into(), Dropout::new(0.5).into(), own()]), true),
            (of([RandomFlip::default().into(), RandomContrast::new(0.5).into(), own(), Flatten.into()]), true),
            (of([Activation::Linear.into(), own(), Flatten.into()]), true),
            (of([MaxPooling2D::new([2, 2]).into(), own(), Flatten.into()]), true),
            (of([AveragePooling2D::new([2, 2]).into(), own(), Flatten.into()]), true),
            (of([GlobalMaxPooling2D::new().into(), own()]), true),
            (of([GlobalAveragePooling2D::new().into(), own()]), true),
            (of([Flatten.into(), Dense::new(3).into(), own()]), false),
            (of([Activation::Relu.into(), own(), Flatten.into()]), false),
            (of([Rescaling::new(2.0).offset(-1.0).named("own"), Flatten.into()]), false),
            (of([Flatten.into()]), false),
            (of([Rescaling::new(1.0).offset(-127.5).into(), Rescaling::new(1.0 / 127.5).named("own")]), true),
            (of([Rescaling::new(-1.0).offset(255.0).into(), Rescaling::new(1.0 / 255.0).named("own")]), true),
            (of([Rescaling::new(1.0).offset(-0.5).into(), Rescaling::new(2.0).named("own")]), false),
            (of([Rescaling::new(2.0).into(), Rescaling::new(0.5).named("own")]), false),
        ];
        for (i, (model, expected)) in cases.iter().enumerate() {
            assert_eq!(model.rescales_input(), expected.then_some("own"), "case {i}");
        }
    }

    #[test]
    fn a_rescaling_on_one_of_several_ways_counts() {
        let mut model = Model::new([2]);
        let dense = model.apply(Dense::new(2), model.input());
        let scaled = model.apply(Rescaling::new(0.5).named("own"), model.input());
        model.apply(Add::default(), [dense, scaled]);
        assert_eq!(model.rescales_input(), Some("own"));
    }

    #[test]
    fn bytes_are_not_scaled_twice_unless_someone_says_so() {
        let mut model = of([Rescaling::new(1.0 / 255.0).named("own"), Flatten.into()]);
        model.to_device(&Device::cpu().unwrap()).unwrap();
        let bytes = Dataset::from_u8([2, 2, 1], vec![0, 51, 102, 255], Labels::index(vec![0], 2)).unwrap();
        let error = model.predict(&bytes).unwrap_err();
        assert!(matches!(&error, Error::ScaledTwice { layer, .. } if layer == "own"), "{error}");
        let whole = model.predict(&bytes.clone().rescaled(1.0, 0.0)).unwrap();
        let floats = Dataset::from_f32([2, 2, 1], vec![0.0, 51.0, 102.0, 255.0], Labels::index(vec![0], 2)).unwrap();
        assert_eq!(whole, model.predict(&floats).unwrap());
        assert_ne!(whole, model.predict(&bytes.rescaled(1.0 / 255.0, 0.0)).unwrap());
    }
}
