//! Writes whole models in Keras' legacy format, `.h5` (`keras/src/legacy/saving/legacy_h5_format.py`): the model as JSON in
//! an attribute, and the weights in a group per layer, a model within being one group.

use std::path::Path;

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder, WriteOptions};

use super::{format_error, names};
use crate::Result;
use crate::network::{Member, Network, PlacedVariable};
use crate::saving::archive::KERAS_VERSION;

/// The group of all weights.
const WEIGHTS: &str = "model_weights";
/// The group of weights that are in no layer, of which Kiln's models have none.
const TOP_LEVEL: &str = "top_level_model_weights";
/// The attribute that places the text of `model_config` in the file.
const TEXT: &str = "model_config_text";
/// The maximum size of an attribute's list of names, in bytes: less than the 64 KiB of HDF5, as in Keras.
const MOST_BYTES: usize = 64_512;

/// The file of a network, given its JSON and the values of its weights concatenated in the network's order. `path` is for
/// errors.
///
/// # Errors
/// If the weights exceed what such a file can hold.
pub(in crate::saving) fn model_file(network: &Network, json: &str, values: &[f32], path: &Path) -> Result<Vec<u8>> {
    let failed = |error: hdf5_writer::Error| format_error(path, error.to_string());
    // Where the text will be follows from the sizes of everything before it.
    let first = encoded(network, json, values, 0).map_err(failed)?;
    let heap = first.windows(HEAP.len()).rposition(|bytes| bytes == HEAP);
    let heap = heap.ok_or_else(|| format_error(path, "expected a heap in the written file, found none".to_owned()))?;
    drop(first);
    encoded(network, json, values, heap as u64).map_err(failed)
}

/// The signature and the version of a heap of texts. The writer places it at the end of the file, and no JSON has zeros.
const HEAP: &[u8] = b"GCOL\x01\0\0\0";

/// The bytes of the file, with a text at `heap`.
fn encoded(network: &Network, json: &str, values: &[f32], heap: u64) -> hdf5_writer::Result<Vec<u8>> {
    let mut builder = Hdf5Builder::new();
    for attribute in [text("keras_version", KERAS_VERSION), text("backend", "tensorflow")] {
        builder = builder.attribute(attribute.clone()).group_attribute(WEIGHTS, attribute);
    }
    for attribute in long_text("model_config", json, heap)? {
        builder = builder.attribute(attribute);
    }
    let mut layers = Vec::new();
    for (_, member) in names::counted_by_class(network, None) {
        let name = network.member_name(None, member);
        layers.push(name);
        builder = group(builder, name, &variables(network, member), values)?;
    }
    for attribute in list("layer_names", &layers)? {
        builder = builder.group_attribute(WEIGHTS, attribute);
    }
    builder = group(builder, TOP_LEVEL, &[], values)?;
    builder.into_plan()?.encode(WriteOptions::default())
}

/// The variables of a layer, or of all layers of a model, in Keras' order: first all trained ones, then the others.
fn variables(network: &Network, member: Member) -> Vec<&PlacedVariable> {
    let layers = network.layers_of(member).into_iter();
    let all = layers.flat_map(|layer| &network.variables[network.layers[layer].variables.clone()]);
    let (mut ordered, others): (Vec<&PlacedVariable>, Vec<_>) = all.partition(|variable| network.trains(variable));
    ordered.extend(others);
    ordered
}

/// Adds the group of a layer, with its variables by path.
fn group(
    mut builder: Hdf5Builder,
    name: &str,
    variables: &[&PlacedVariable],
    values: &[f32],
) -> hdf5_writer::Result<Hdf5Builder> {
    let names: Vec<&str> = variables.iter().map(|variable| &*variable.name).collect();
    for attribute in list("weight_names", &names)? {
        builder = builder.group_attribute(format!("{WEIGHTS}/{name}"), attribute);
    }
    for variable in variables {
        let shape: Vec<u64> = variable.shape.iter().map(|&extent| extent as u64).collect();
        let path = format!("{WEIGHTS}/{name}/{}", variable.name);
        builder = builder.dataset(DatasetBuilder::typed_data(path, shape, &values[variable.range()])?);
    }
    Ok(builder)
}

fn text(name: &str, value: &str) -> AttributeBuilder {
    AttributeBuilder::fixed_string(name, value)
}

/// A text of any length, as Keras reads it: a single value, while the writer has lists of such texts only. So there is also
/// such a list, whose text is the first of the heap, and which the single value shares.
fn long_text(name: &str, value: &str, heap: u64) -> hdf5_writer::Result<[AttributeBuilder; 2]> {
    let list = AttributeBuilder::vlen_strings(TEXT, &[value])?;
    let length = value.len() as u32 + 1;
    let reference = [&length.to_le_bytes()[..], &heap.to_le_bytes(), &1u32.to_le_bytes()].concat();
    let single = AttributeBuilder::new(name, list.datatype().clone(), Vec::new(), reference);
    Ok([list, single])
}

/// A list of names, in several attributes `name0`, `name1`, … if it is too long for one.
fn list(name: &str, values: &[&str]) -> hdf5_writer::Result<Vec<AttributeBuilder>> {
    if values.is_empty() {
        return Ok(vec![AttributeBuilder::vector::<f64>(name, &[])?]);
    }
    let longest = values.iter().map(|value| value.len()).max().unwrap_or_default().max(1);
    let parts: Vec<&[&str]> = values.chunks((MOST_BYTES / longest).max(1)).collect();
    let whole = parts.len() == 1;
    let named = |(index, part): (usize, &&[&str])| {
        let name = if whole { name.to_owned() } else { format!("{name}{index}") };
        AttributeBuilder::fixed_string_vector(name, part)
    };
    parts.iter().enumerate().map(named).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn lists_that_are_too_long_for_an_attribute_are_several() {
        let names: Vec<String> = (0..3000).map(|i| format!("a_layer_with_a_rather_long_name_{i:04}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let parts = list("layer_names", &names).unwrap();
        let found: Vec<&str> = parts.iter().map(AttributeBuilder::name).collect();
        assert_eq!(found, ["layer_names0", "layer_names1"]);
        assert!(parts.iter().all(|part| part.raw_data().len() <= MOST_BYTES));
        assert_eq!(parts.iter().map(|part| part.shape()[0]).sum::<u64>(), 3000);
        assert_eq!(list("layer_names", &names[..9]).unwrap()[0].name(), "layer_names");
    }
}
