//! Writes weights in the format of Keras 3's `.weights.h5` (`keras/src/saving/saving_lib.py`).

use std::path::Path;

use hdf5_writer::{AttributeBuilder, DatasetBuilder, Hdf5Builder, WriteOptions};

use super::{format_error, names};
use crate::Result;
use crate::network::{Member, Network};

/// The file of a network's weights, given their values concatenated in the network's order. `path` is for errors.
///
/// # Errors
/// If the weights exceed what such a file can hold.
pub(in crate::saving) fn weights_file(network: &Network, values: &[f32], path: &Path) -> Result<Vec<u8>> {
    let name = AttributeBuilder::fixed_string("name", &network.name);
    let builder = Hdf5Builder::new().group_attribute("vars", name);
    let plan = layers(builder, network, None, "", values).and_then(Hdf5Builder::into_plan);
    let bytes = plan.and_then(|plan| plan.encode(WriteOptions::default()));
    bytes.map_err(|error| format_error(path, error.to_string()))
}

/// Adds the layers of the network (`None`) or of a model within it, as `PREFIXlayers/CLASS_N`.
fn layers(
    mut builder: Hdf5Builder,
    network: &Network,
    model: Option<usize>,
    prefix: &str,
    values: &[f32],
) -> hdf5_writer::Result<Hdf5Builder> {
    for (group, member) in names::counted_by_class(network, model) {
        let path = format!("{prefix}layers/{group}");
        let name = AttributeBuilder::fixed_string("name", network.member_name(model, member));
        builder = builder.group_attribute(format!("{path}/vars"), name);
        match member {
            Member::Input(_) => {}
            Member::Layer(first) => {
                let variables = &network.variables[network.layers[first].variables.clone()];
                for (index, variable) in variables.iter().enumerate() {
                    let shape: Vec<u64> = variable.shape.iter().map(|&extent| extent as u64).collect();
                    let data = &values[variable.range()];
                    builder = builder.dataset(DatasetBuilder::typed_data(format!("{path}/vars/{index}"), shape, data)?);
                }
            }
            Member::Model(inner) => builder = layers(builder, network, Some(inner), &format!("{path}/"), values)?,
        }
    }
    Ok(builder)
}
