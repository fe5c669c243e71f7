//! The layer classes supported in model files.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{CUSTOM, KERAS, Layer};

/// A layer that can be saved in model files: [`Layer::config`] writes its arguments, `from_config` reads them.
pub trait SavedLayer: Layer + Sized + 'static {
    /// The name of the class: [`Layer::class_name`] of all its layers.
    const CLASS_NAME: &'static str;

    /// The package of the class: [`Layer::package`] of all its layers.
    const PACKAGE: &'static str = CUSTOM;

    /// Creates the layer with these arguments.
    ///
    /// # Errors
    /// If an argument is unknown, missing or has an unsupported value: `rate: expected a number, found "half"`.
    fn from_config(config: &Map<String, Value>) -> Result<Self, String>;
}

type Read = fn(&Map<String, Value>) -> Result<Arc<dyn Layer>, String>;

/// The layer classes supported in model files: Kiln's own and custom ones (Keras' `custom_objects`).
///
/// # Example
/// Saving and loading a custom layer:
/// ```
/// use kiln::graph::{Result, Shape, Tensor};
/// use kiln::layers::{Call, Dense, BuildError, Layer, Registry, SavedLayer};
/// use kiln::ops::ScaleAdd;
/// use kiln::serde_json::{Map, Value, json};
/// use kiln::{LoadModel, Model, Sequential};
///
/// /// `y = factor x`
/// #[derive(Debug)]
/// struct Scale {
///     factor: f64,
/// }
///
/// impl Layer for Scale {
///     fn class_name(&self) -> &'static str {
///         Scale::CLASS_NAME
///     }
///
///     fn package(&self) -> &'static str {
///         Scale::PACKAGE
///     }
///
///     fn output_shape(&self, input: &Shape) -> std::result::Result<Shape, BuildError> {
///         Ok(input.clone())
///     }
///
///     fn call(&self, call: &mut Call<'_>) -> Result<Tensor> {
///         let x = call.input();
///         call.add(ScaleAdd { a: self.factor as f32, b: 0.0 }, &[x, x])
///     }
///
///     fn config(&self) -> Map<String, Value> {
///         [("factor".to_owned(), json!(self.factor))].into_iter().collect()
///     }
/// }
///
/// impl SavedLayer for Scale {
///     const CLASS_NAME: &'static str = "Scale";
///     const PACKAGE: &'static str = "my_package";
///
///     fn from_config(config: &Map<String, Value>) -> std::result::Result<Scale, String> {
///         let factor = config.get("factor").and_then(Value::as_f64);
///         Ok(Scale { factor: factor.ok_or("factor: expected a number")? })
///     }
/// }
///
/// let folder = std::env::temp_dir().join("kiln-registry-example");
/// let mut model = Sequential::new([4]);
/// model.add(Dense::new(3)).add(Scale { factor: 0.5 });
/// model.save(&folder)?; // model.json names the class "my_package>Scale"
///
/// let loaded = Model::load_with(&folder, LoadModel { registry: Registry::default().with::<Scale>(), ..LoadModel::default() })?;
/// assert_eq!(loaded.to_json()?, model.to_json()?);
/// let error = Model::load(&folder).unwrap_err().to_string();
/// assert!(error.contains("my_package>Scale") && error.contains("load_with"), "{error}");
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone)]
pub struct Registry {
    /// By registered name.
    classes: BTreeMap<String, Read>,
}

impl Registry {
    pub(super) fn empty() -> Registry {
        Registry { classes: BTreeMap::new() }
    }

    /// Adds a class, replacing one of the same package and name.
    pub fn with<L: SavedLayer>(mut self) -> Registry {
        self.classes.insert(registered_name(L::PACKAGE, L::CLASS_NAME), read::<L>);
        self
    }

    /// The registered names of all classes in alphabetical order, without Keras' package.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.classes.keys().map(String::as_str)
    }

    /// Creates a layer of a class with the arguments of [`Layer::config`].
    ///
    /// # Errors
    /// If the class is unknown, or an argument is unknown, missing or has an unsupported value.
    pub(crate) fn read(&self, registered_name: &str, config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
        match self.classes.get(registered_name) {
            Some(read) => read(config),
            None if is_custom(registered_name) => Err(format!(
                "registered_name: \"{registered_name}\" is not in the registry; add its layer with `Registry::with` and load \
                 the model with `Model::load_with`"
            )),
            None => Err("Kiln has no such layer".to_owned()),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// The name of a class in model files: `package>Class`, or `Class` for Keras' own.
pub(crate) fn registered_name(package: &str, class: &str) -> String {
    if package == KERAS { class.to_owned() } else { format!("{package}>{class}") }
}

/// Whether a registered name is that of a custom class.
pub(crate) fn is_custom(registered_name: &str) -> bool {
    registered_name.contains('>')
}

fn read<L: SavedLayer>(config: &Map<String, Value>) -> Result<Arc<dyn Layer>, String> {
    let layer = L::from_config(config)?;
    let (written, expected) = ((layer.package(), layer.class_name()), (L::PACKAGE, L::CLASS_NAME));
    if written != expected {
        return Err(format!(
            "expected its package and class_name to be those of its SavedLayer, {expected:?}, found {written:?}"
        ));
    }
    Ok(Arc::new(layer))
}
