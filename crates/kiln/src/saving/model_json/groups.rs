//! Learning rate factors and weight decays of variables. Keras has no place for them and passes over the member.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::network::{Network, PlacedLayer, PlacedVariable};
use crate::optimizers::ParameterGroup;

/// The member of a layer's object that holds Kiln's own settings.
pub(super) const MEMBER: &str = "kiln";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// By the variable's name within the layer.
    parameter_groups: BTreeMap<String, ParameterGroup>,
}

fn own_name(variable: &PlacedVariable) -> &str {
    variable.name.rsplit('/').next().unwrap_or(&variable.name)
}

/// The member for a layer; `None` if all of its variables learn and decay as the optimizer says.
pub(super) fn member(network: &Network, placed: &PlacedLayer) -> Option<Value> {
    let variables = network.variables[placed.variables.clone()].iter();
    let own = variables.filter(|variable| variable.group != ParameterGroup::default());
    let parameter_groups: BTreeMap<String, ParameterGroup> =
        own.map(|variable| (own_name(variable).to_owned(), variable.group)).collect();
    (!parameter_groups.is_empty()).then(|| json!(Own { parameter_groups }))
}

/// Reads the member of a layer's object for the network's last layer.
///
/// # Errors
/// If it holds something else, a number outside its range, or a variable that the layer does not have.
pub(super) fn read(json: &Value, network: &mut Network) -> Result<(), String> {
    let Some(member) = json.get(MEMBER).filter(|member| !member.is_null()) else { return Ok(()) };
    let Own { parameter_groups } =
        Own::deserialize(member).map_err(|error| format!("{MEMBER}: {error}, found {member}"))?;
    // A layer that does not fit its inputs has no variables; `Network::check` says so.
    let Some(placed) = network.layers.last().filter(|placed| placed.shapes.is_some()) else { return Ok(()) };
    let variables = &mut network.variables[placed.variables.clone()];
    for (name, group) in parameter_groups {
        group.check().map_err(|error| format!("{MEMBER}: {name}: {error}"))?;
        let names = variables.iter().map(own_name).collect::<Vec<_>>().join(", ");
        let variable = variables.iter_mut().find(|variable| own_name(variable) == name);
        let unknown = || format!("{MEMBER}: expected the variables of the layer ({names}), found {name}");
        variable.ok_or_else(unknown)?.group = group;
    }
    Ok(())
}
