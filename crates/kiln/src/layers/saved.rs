//! Layers in model files: Keras' constructor arguments as JSON.

use kiln_ops::Padding;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::keras_object::{KerasObject, check_float32, first_unknown, shown, unknown};

use super::{KERAS_LAYERS, Layer};

/// A layer with fields named as Keras' constructor arguments.
pub(crate) trait Saved: Layer + Serialize + DeserializeOwned + 'static {
    /// Whether Keras' files include the shape that the layer was built for.
    const HAS_BUILD_CONFIG: bool = true;

    /// The Python module of the class in Keras' files.
    const MODULE: &'static str = KERAS_LAYERS;

    /// The old names of arguments in Keras 2, with those in Keras 3.
    const OLD_NAMES: &'static [(&'static str, &'static str)] = &[];

    /// Fills in Keras' defaults of missing arguments that depend on others.
    fn complete(config: &mut Map<String, Value>) {
        let _ = config;
    }

    /// The layer's own arguments as an object.
    fn arguments(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Creates the layer with its own arguments.
    ///
    /// # Errors
    /// The problem, and the path of the argument.
    fn of_arguments(arguments: Value) -> Result<Self, serde_path_to_error::Error<serde_json::Error>> {
        serde_path_to_error::deserialize(arguments)
    }

    /// Keras' arguments with a single supported value: they are written, and checked on reading.
    fn fixed() -> Value;
}

/// The arguments of a layer, own and fixed.
pub(super) fn to_config<L: Saved>(layer: &L) -> Map<String, Value> {
    let parts = [layer.arguments(), L::fixed()];
    parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect()
}

/// Reads a layer with these arguments, without those common to all layers.
///
/// # Errors
/// If an argument is unknown, missing or has an unsupported value.
pub(crate) fn read_as<L: Saved>(config: &Map<String, Value>) -> Result<L, String> {
    let fixed = L::fixed();
    let fixed = fixed.as_object().cloned().unwrap_or_default();
    let new_name = |key: &String| {
        let renamed = L::OLD_NAMES.iter().find(|(old, _)| old == key);
        renamed.map_or_else(|| key.clone(), |(_, new)| (*new).to_owned())
    };
    let own = config.iter().filter(|(key, _)| !fixed.contains_key(*key));
    let mut own: Map<String, Value> = own.map(|(key, value)| (new_name(key), value.clone())).collect();
    for (key, expected) in &fixed {
        if let Some(found) = config.get(key).filter(|found| *found != expected) {
            return Err(format!("{key}: expected {expected}, found {}", shown(found)));
        }
    }
    L::complete(&mut own);
    let layer = L::of_arguments(Value::Object(own.clone())).map_err(|error| {
        let path = error.path().to_string();
        let found = own.get(path.split(['.', '[']).next().unwrap_or_default());
        match (found, error.into_inner().to_string()) {
            (None, problem) => problem,
            (Some(_), problem) if problem.contains("found ") => format!("{path}: {problem}"),
            (Some(found), problem) => format!("{path}: {problem}, found {}", shown(found)),
        }
    })?;
    let known = to_config(&layer);
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    match first_unknown(&own, &known) {
        Some((key, value)) => Err(unknown(key, value)),
        None => Ok(layer),
    }
}

/// The arguments common to all layers.
pub(crate) struct Common {
    pub name: Option<String>,
    pub trainable: bool,
}

/// Splits a configuration into the arguments common to all layers and those of the class.
///
/// # Errors
/// If the layer does not compute in 32-bit floats, or a value has the wrong type.
pub(crate) fn split_config(object: KerasObject<'_>) -> Result<(Common, Map<String, Value>), String> {
    let mut own = object.arguments()?;
    check_float32(object.config)?;
    own.remove("dtype");
    let name = match own.remove("name") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(found) => return Err(format!("name: expected a string, found {}", shown(&found))),
    };
    let trainable = match own.remove("trainable") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(trainable)) => trainable,
        Some(found) => return Err(format!("trainable: expected true or false, found {}", shown(&found))),
    };
    Ok((Common { name, trainable }, own))
}

/// Reads height and width: two numbers, or one for both.
pub(super) fn pair<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[usize; 2], D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
    let pair = match value.as_array().map(Vec::as_slice) {
        None => number(&value).map(|both| [both; 2]),
        Some([both]) => number(both).map(|both| [both; 2]),
        Some([rows, columns]) => number(rows).zip(number(columns)).map(<[usize; 2]>::from),
        Some(_) => None,
    };
    let expected =
        || serde::de::Error::custom(format!("expected a number or [rows, columns], found {}", shown(&value)));
    pair.ok_or_else(expected)
}

/// Keras' defaults of pooling: adjacent windows of 2 x 2.
pub(super) fn complete_pooling(config: &mut Map<String, Value>) {
    let size = config.entry("pool_size").or_insert_with(|| serde_json::json!([2, 2])).clone();
    let strides = config.entry("strides").or_insert(Value::Null);
    if strides.is_null() {
        *strides = size;
    }
    config.entry("padding").or_insert_with(|| "valid".into());
}

/// [`Padding`] with Keras' names.
pub(super) mod padding {
    use super::*;

    pub(in crate::layers) fn serialize<S: Serializer>(padding: &Padding, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match padding {
            Padding::Same => "same",
            Padding::Valid => "valid",
        })
    }

    pub(in crate::layers) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Padding, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "same" => Ok(Padding::Same),
            "valid" => Ok(Padding::Valid),
            found => {
                Err(serde::de::Error::custom(format!("expected padding \"same\" or \"valid\", found \"{found}\"")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::json;

    use std::sync::Arc;

    use super::*;
    use crate::layers::{
        Activation, AveragePooling1D, AveragePooling2D, BatchNormalization, Constraint, Conv1D, Conv2D,
        Conv2DTranspose, Cropping2D, CustomScaleLayer, Dense, DepthwiseConv2D, Dropout, ELU, FillMode, Flatten,
        FlipMode, GaussianNoise, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalMaxPooling1D,
        GlobalMaxPooling2D, GroupNormalization, Identity, Initializer, Interpolation, LayerNormalization, LayerScale,
        LeakyReLU, MaxPooling1D, MaxPooling2D, Normalization, PReLU, Permute, RandomBrightness, RandomContrast,
        RandomFlip, RandomRotation, RandomTranslation, RandomZoom, ReLU, Registry, Regularizer, Rescaling, Reshape,
        Resizing, SeparableConv2D, SequencePadding, Softmax, SpatialDropout2D, StochasticDepth, UpSampling2D,
        ZeroPadding2D,
    };

    fn from_config(class_name: &str, config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
        Registry::default().read(class_name, config)
    }

    fn read_back(layer: &dyn Layer) -> Arc<dyn Layer> {
        from_config(layer.class_name(), &layer.config()).unwrap()
    }

    fn error(class_name: &str, config: Value) -> String {
        from_config(class_name, config.as_object().unwrap()).unwrap_err()
    }

    #[test]
    fn every_layer_reads_what_it_writes() {
        let layers: [Box<dyn Layer>; 69] = [
            Box::new(crate::layers::Add::default()),
            Box::new(crate::layers::Average::default()),
            Box::new(crate::layers::Maximum::default()),
            Box::new(crate::layers::Minimum::default()),
            Box::new(crate::layers::Multiply::default()),
            Box::new(crate::layers::Subtract::default()),
            Box::new(crate::layers::Concatenate::new()),
            Box::new(CustomScaleLayer::new(0.25)),
            Box::new(LayerScale::new(1e-6, 3)),
            Box::new(StochasticDepth::new(0.1)),
            Box::new(Cropping2D::new([[1, 2], [3, 4]])),
            Box::new(GaussianNoise::new(0.25).seed(1)),
            Box::new(crate::layers::GetItem::new([0.into(), (1..).into()])),
            Box::new(GroupNormalization::new(-1).epsilon(1e-5).center(false)),
            Box::new(Identity::default()),
            Box::new(LayerNormalization::new().axis([1, -1]).scale(false)),
            Box::new(Normalization::new().axis([]).invert(true)),
            Box::new(Normalization::of([1.0, 2.0], 0.5)),
            Box::new(AveragePooling1D::new(3).strides(1).padding(Padding::Same)),
            Box::new(GlobalAveragePooling1D::new()),
            Box::new(GlobalMaxPooling1D::new().keepdims(true)),
            Box::new(MaxPooling1D::new(2)),
            Box::new(Permute::new([2, 1])),
            Box::new(PReLU::new().shared_axes([1, 2]).alpha_regularizer(Regularizer::l2(0.5))),
            Box::new(PReLU::new().alpha_initializer(Initializer::ones())),
            Box::new(RandomBrightness::new(0.25).value_range([0.0, 1.0])),
            Box::new(RandomContrast::new([0.25, 0.5]).seed(3)),
            Box::new(RandomContrast::new(0.5)),
            Box::new(RandomFlip::new(FlipMode::Horizontal).seed(7)),
            Box::new(RandomFlip::default()),
            Box::new(RandomRotation::new(0.25).fill_mode(FillMode::Constant).fill_value(1.5)),
            Box::new(RandomRotation::new([0.5, -0.25]).seed(1)),
            Box::new(RandomTranslation::new(0.25, [-0.5, 0.0]).fill_mode(FillMode::Wrap)),
            Box::new(RandomZoom::new([-0.5, 0.25]).interpolation(Interpolation::Nearest)),
            Box::new(RandomZoom::new(0.25).width_factor([0.25, 0.5]).fill_mode(FillMode::Nearest)),
            Box::new(RandomZoom::new(0.25).width_factor(0.5)),
            Box::new(Reshape::new([-1, 3])),
            Box::new(Resizing::new(7, 5).interpolation(Interpolation::Nearest)),
            Box::new(SpatialDropout2D::new(0.5)),
            Box::new(UpSampling2D::new([3, 1])),
            Box::new(UpSampling2D::default().interpolation(Interpolation::Bilinear)),
            Box::new(Activation::LeakyRelu),
            Box::new(AveragePooling2D::new([3, 1]).strides([1, 2]).padding(Padding::Same)),
            Box::new(BatchNormalization::new().momentum(0.9).epsilon(1e-5).scale(false)),
            Box::new(Conv2D::new(7, [1, 3]).strides([2, 1]).activation(Activation::Swish).use_bias(false)),
            Box::new(Conv2D::new(6, [3, 3]).groups(2).dilation_rate([2, 3])),
            Box::new(Conv1D::new(6, 3).groups(2).padding(SequencePadding::Causal).dilation_rate(2)),
            Box::new(Conv1D::new(2, 4).strides(2).kernel_constraint(Constraint::max_norm(2.5).axis([0, 1]))),
            Box::new(Conv2DTranspose::new(6, [3, 2]).strides([2, 3]).output_padding([1, 0])),
            Box::new(DepthwiseConv2D::new([3, 5]).depth_multiplier(2).dilation_rate([1, 2])),
            Box::new(SeparableConv2D::new(6, [3, 3]).pointwise_regularizer(Regularizer::l1(0.5))),
            Box::new(Dense::new(3).activation(crate::layers::Activation::Softmax)),
            Box::new(
                Dense::new(3)
                    .kernel_initializer(Initializer::he_normal().seed(7))
                    .bias_regularizer(Regularizer::l1(0.5)),
            ),
            Box::new(Dropout::new(0.25)),
            Box::new(Dropout::new(1.0).seed(42)),
            Box::new(Dense::new(3).activation(LeakyReLU::new(0.1))),
            Box::new(Rescaling::new([0.5, 2.0]).offset(vec![1.0, -1.0])),
            Box::new(Flatten),
            Box::new(MaxPooling2D::new([2, 2])),
            Box::new(GlobalAveragePooling2D::new().keepdims(true)),
            Box::new(GlobalMaxPooling2D::new()),
            Box::new(ZeroPadding2D::new([[1, 2], [3, 4]])),
            Box::new(Rescaling::new(1.0 / 127.5).offset(-1.0)),
            Box::new(ReLU::new()),
            Box::new(ReLU::new().max_value(6.0).negative_slope(0.1).threshold(0.5)),
            Box::new(LeakyReLU::default()),
            Box::new(ELU::new(0.5)),
            Box::new(ELU::default()),
            Box::new(Softmax::new()),
        ];
        let mut classes: Vec<&str> = layers.iter().map(|layer| layer.class_name()).collect();
        classes.sort_unstable();
        classes.dedup();
        assert_eq!(classes, Registry::default().names().collect::<Vec<_>>(), "all of the registry");
        for layer in layers {
            assert_eq!(format!("{:?}", read_back(&*layer)), format!("{layer:?}"));
        }
    }

    /// The `config` written by Keras 3.15 after name, trainable and dtype.
    #[test]
    fn small_layers_are_written_as_keras_writes_them() {
        let check = |layer: &dyn Layer, keras: Value| {
            assert_eq!(Value::Object(layer.config()), keras, "{layer:?}");
            assert_eq!(format!("{:?}", read_back(layer)), format!("{layer:?}"));
        };
        let padding = json!({"padding": [[1, 1], [2, 2]], "data_format": "channels_last"});
        check(&ZeroPadding2D::new([1, 2]), padding);
        check(&GlobalAveragePooling2D::new(), json!({"data_format": "channels_last", "keepdims": false}));
        let pooling = json!({"pool_size": [3], "padding": "valid", "strides": [2], "data_format": "channels_last"});
        check(&MaxPooling1D::new(3).strides(2), pooling);
        check(&Rescaling::new(1.0 / 255.0), json!({"scale": 0.00392156862745098, "offset": 0.0}));
        check(&ReLU::new(), json!({"max_value": null, "negative_slope": 0.0, "threshold": 0.0}));
        check(&LeakyReLU::default(), json!({"negative_slope": 0.3}));
        check(&ELU::default(), json!({"alpha": 1.0}));
        check(&Softmax::new(), json!({"axis": -1}));
    }

    /// The defaults of Keras' constructors.
    #[test]
    fn arguments_that_are_not_there_have_keras_defaults() {
        let read = |class_name, config: Value| from_config(class_name, config.as_object().unwrap()).unwrap();
        let same = |found: Arc<dyn Layer>, layer: &dyn Layer| assert_eq!(format!("{found:?}"), format!("{layer:?}"));
        same(read("Concatenate", json!({})), &crate::layers::Concatenate::new());
        same(read("MaxPooling2D", json!({})), &MaxPooling2D::new([2, 2]));
        same(read("AveragePooling2D", json!({"pool_size": [3, 2], "strides": null})), &AveragePooling2D::new([3, 2]));
        same(read("MaxPooling2D", json!({"pool_size": 3, "strides": 1})), &MaxPooling2D::new([3, 3]).strides([1, 1]));
        same(read("Conv2D", json!({"filters": 4, "kernel_size": 3})), &Conv2D::new(4, [3, 3]));
        same(read("DepthwiseConv2D", json!({"kernel_size": 3})), &DepthwiseConv2D::new([3, 3]));
        same(read("SeparableConv2D", json!({"filters": 4, "kernel_size": 3})), &SeparableConv2D::new(4, [3, 3]));
        same(read("Conv2DTranspose", json!({"filters": 4, "kernel_size": 3})), &Conv2DTranspose::new(4, [3, 3]));
        same(read("Dense", json!({"units": 4})), &Dense::new(4));
        same(read("BatchNormalization", json!({})), &BatchNormalization::new());
        same(read("ReLU", json!({})), &ReLU::new());
        same(read("LeakyReLU", json!({})), &LeakyReLU::default());
        same(read("ZeroPadding2D", json!({})), &ZeroPadding2D::new(1));
        same(read("GlobalMaxPooling2D", json!({})), &GlobalMaxPooling2D::new());
        same(read("Rescaling", json!({"scale": 2.0})), &Rescaling::new(2.0));
        same(read("MaxPooling1D", json!({})), &MaxPooling1D::new(2));
        same(read("AveragePooling1D", json!({"pool_size": [3], "strides": null})), &AveragePooling1D::new(3));
        same(read("UpSampling2D", json!({})), &UpSampling2D::default());
        same(read("UpSampling2D", json!({"size": 3})), &UpSampling2D::new([3, 3]));
        same(read("Resizing", json!({"height": 3, "width": 4})), &Resizing::new(3, 4));
        same(read("Cropping2D", json!({"cropping": 1})), &Cropping2D::new(1));
        same(read("LayerNormalization", json!({"axis": 3})), &LayerNormalization::new().axis([3]));
        same(read("GroupNormalization", json!({})), &GroupNormalization::new(32));
        same(read("Normalization", json!({})), &Normalization::new());
        same(read("PReLU", json!({})), &PReLU::new());
        same(read("RandomFlip", json!({})), &RandomFlip::default());
        same(read("RandomRotation", json!({"factor": 0.25})), &RandomRotation::new([-0.25, 0.25]));
        same(read("RandomZoom", json!({"height_factor": 0.25})), &RandomZoom::new(0.25));
        let translation = json!({"height_factor": 0.25, "width_factor": [0.5, 0]});
        same(read("RandomTranslation", translation), &RandomTranslation::new(0.25, [0.5, 0.0]));
        same(read("RandomContrast", json!({"factor": 0.25})), &RandomContrast::new([0.0, 0.25]));
        let brightness = json!({"factor": 0.25, "value_range": [1, 0]});
        same(read("RandomBrightness", brightness), &RandomBrightness::new(0.25).value_range([0.0, 1.0]));
    }

    #[test]
    fn what_keras_2_calls_otherwise_is_read() {
        let read = |class_name, config: Value| from_config(class_name, config.as_object().unwrap()).unwrap();
        let slope = read("LeakyReLU", json!({"alpha": 0.30000001192092896}));
        assert_eq!(slope.config()["negative_slope"], json!(0.30000001192092896));
        // The members of every convolution, in layers without groups, or without such a kernel.
        let depthwise = read("DepthwiseConv2D", json!({"kernel_size": [3, 3], "groups": 1}));
        assert_eq!(format!("{depthwise:?}"), format!("{:?}", DepthwiseConv2D::new([3, 3])));
        let inherited = json!({
            "filters": 4,
            "kernel_size": [3, 3],
            "groups": 1,
            "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": null}},
            "kernel_regularizer": null,
            "kernel_constraint": null,
        });
        let separable = read("SeparableConv2D", inherited);
        assert_eq!(format!("{separable:?}"), format!("{:?}", SeparableConv2D::new(4, [3, 3])));
        for (padding, sides) in [(json!(2), [[2, 2], [2, 2]]), (json!([1, 2]), [[1, 1], [2, 2]])] {
            assert_eq!(read("ZeroPadding2D", json!({"padding": padding})).config()["padding"], json!(sides));
        }
    }

    #[test]
    fn what_kiln_does_not_know_is_an_error_that_names_it() {
        assert_eq!(error("Conv3D", json!({})), "Kiln has no such layer");
        let first = json!({"filters": 1, "kernel_size": [3, 3], "data_format": "channels_first"});
        let expected = "data_format: expected \"channels_last\", found \"channels_first\"";
        assert_eq!(error("Conv2D", first), expected);
        let grouped = json!({"kernel_size": [3, 3], "groups": 2});
        assert_eq!(error("DepthwiseConv2D", grouped), "groups: Kiln does not know this argument, found 2");
        let padding = json!({"filters": 1, "kernel_size": 2, "output_padding": [1, 2, 3]});
        let expected = "output_padding: expected a number or [rows, columns], found [1,2,3]";
        assert_eq!(error("Conv2DTranspose", padding), expected);
        assert!(error("Conv2D", json!({"kernel_size": [3, 3]})).contains("missing field `filters`"));
        let unknown = error("Flatten", json!({"order": "C,H,W"}));
        assert_eq!(unknown, "order: Kiln does not know this argument, found \"C,H,W\"");
        let initializer = json!({"class_name": "Xavier"});
        let xavier = error("Dense", json!({"units": 1, "kernel_initializer": initializer}));
        assert!(xavier.starts_with("kernel_initializer: expected an initializer (Zeros, Ones, "), "{xavier}");
        let padding = error("ZeroPadding2D", json!({"padding": [1, 2, 3]}));
        let expected = "padding: expected a number, [rows, columns] or [[top, bottom], [left, right]], found [1,2,3]";
        assert_eq!(padding, expected);
        assert_eq!(
            error("MaxPooling2D", json!({"pool_size": "big"})),
            "pool_size: expected a number or [rows, columns], found \"big\""
        );
        let rate = error("Dropout", json!({"rate": "half"}));
        assert_eq!(rate, "rate: invalid type: string \"half\", expected f64, found \"half\"");
        assert!(error("Activation", json!({"activation": "gelu2"})).contains("found `gelu2`"));
        let bicubic = error("UpSampling2D", json!({"interpolation": "bicubic"}));
        let expected = "expected `nearest` or `bilinear`, found \"bicubic\"";
        assert_eq!(bicubic, format!("interpolation: unknown variant `bicubic`, {expected}"));
        let factor = error("RandomRotation", json!({"factor": [0.1, 0.2, 0.3]}));
        assert_eq!(factor, "factor: expected a number or two, found [0.1,0.2,0.3]");
        let mode = error("RandomFlip", json!({"mode": "diagonal"}));
        let modes = "expected one of `horizontal`, `vertical`, `horizontal_and_vertical`";
        assert_eq!(mode, format!("mode: unknown variant `diagonal`, {modes}, found \"diagonal\""));
        let boxes = error("RandomFlip", json!({"bounding_box_format": "xyxy"}));
        assert_eq!(boxes, "bounding_box_format: Kiln does not know this argument, found \"xyxy\"");
        let axis = error("LayerNormalization", json!({"axis": "channels"}));
        assert_eq!(axis, "axis: expected an axis or a list of axes, found \"channels\"");
        let limit = json!({"class_name": "MaxNorm", "config": {"max_value": -1}});
        let constraint = error("PReLU", json!({"alpha_constraint": limit}));
        assert!(constraint.starts_with("alpha_constraint: expected a constraint (MaxNorm, "), "{constraint}");
    }
}
