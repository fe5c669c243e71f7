//! The layers of a file and their data sets, in two formats:
//!
//! - Keras 3's: `layers/conv2d_4/vars/0`, with groups numbered by class in the order of the model's layers, and the
//!   layer's own name as an attribute of `vars` in later versions. A model within has `layers` of its own.
//! - Keras 1's and 2's, in which `layer_names` lists groups in that order, and each group's `weight_names` its data
//!   sets, at the root in weight files, in `model_weights` in model files. The names of the data sets have changed
//!   often, their order has not. A model within is one group.

use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Hdf5File};

use super::{Hdf5Result, names as by_class};

/// A layer with weights in a file.
pub(super) struct FileLayer {
    /// The name of its group.
    pub group: String,
    /// Its own name, if the file has it.
    pub name: Option<String>,
    /// Its weights in Keras' order, with the names in the file.
    pub datasets: Vec<(String, Dataset)>,
    /// The layers of a model within, in Keras 3's format.
    pub inner: Vec<FileLayer>,
}

/// The groups of layers in Keras 3's files; the second is that of Keras 2.13.
const LAYERS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];
/// The maximum depth of models within models, and of the path of a data set.
const MOST_DEPTH: usize = 64;
/// The maximum number of groups and data sets that are visited. A small file can have very many: a group may be a member
/// of several groups, also of itself.
const MOST_MEMBERS: usize = 1 << 17;

/// The number of groups and data sets visited so far.
#[derive(Default)]
struct Visited(usize);

impl Visited {
    fn add(&mut self, members: usize) -> Hdf5Result<()> {
        self.0 = self.0.saturating_add(members);
        match self.0 {
            ..=MOST_MEMBERS => Ok(()),
            _ => Err(Error::Other(format!("expected at most {MOST_MEMBERS} groups and data sets, found more"))),
        }
    }
}

/// The layers with weights of a file in either format; `None` in other files.
pub(super) fn layers(file: &Hdf5File) -> Hdf5Result<Option<Vec<FileLayer>>> {
    let root = file.root_group()?;
    let mut visited = Visited::default();
    if let Some(layers) = child(&root, &LAYERS)? {
        return keras3(&layers, 0, &mut visited).map(Some);
    }
    let group = keras2_group(file)?;
    let Some(names) = names(&group, "layer_names")? else { return Ok(None) };
    let layers: Hdf5Result<Vec<FileLayer>> = names.into_iter().map(|name| keras2(&group, name, &mut visited)).collect();
    Ok(Some(layers?.into_iter().filter(|layer| !layer.datasets.is_empty()).collect()))
}

/// The backend of a file of Keras 1 or 2.
pub(super) fn backend(file: &Hdf5File) -> Hdf5Result<Option<String>> {
    Ok(names(&keras2_group(file)?, "backend")?.and_then(|names| names.into_iter().next()))
}

/// The first group of one of these names in a group.
pub(super) fn child(group: &Group, names: &[&str]) -> Hdf5Result<Option<Group>> {
    let (groups, _) = group.member_names()?;
    let name = names.iter().find(|name| groups.iter().any(|group| group == *name));
    name.map(|name| group.group(name)).transpose()
}

/// The group in which Keras 1 and 2 list layers.
fn keras2_group(file: &Hdf5File) -> Hdf5Result<Group> {
    let root = file.root_group()?;
    Ok(child(&root, &["model_weights"])?.unwrap_or(root))
}

/// The layers of a group, whose numbers within a class follow the order of the model's layers.
fn keras3(layers: &Group, depth: usize, visited: &mut Visited) -> Hdf5Result<Vec<FileLayer>> {
    let mut groups = layers.groups()?;
    visited.add(groups.len())?;
    groups.sort_by(|a, b| by_class::split(a.name()).cmp(&by_class::split(b.name())));
    let layer = |group: Group| {
        let mut layer =
            FileLayer { group: group.name().to_owned(), name: None, datasets: Vec::new(), inner: Vec::new() };
        if let Some(variables) = child(&group, &["vars"])? {
            layer.name = names(&variables, "name")?.and_then(|names| names.into_iter().next());
            let mut datasets = variables.datasets()?;
            visited.add(datasets.len())?;
            datasets.sort_by_key(|dataset| dataset.name().parse().unwrap_or(usize::MAX));
            layer.datasets = datasets.into_iter().map(|dataset| (dataset.name().to_owned(), dataset)).collect();
        }
        if let Some(inner) = child(&group, &LAYERS)?.filter(|_| depth < MOST_DEPTH) {
            layer.inner = keras3(&inner, depth + 1, visited)?;
        }
        Ok(layer)
    };
    let layers: Hdf5Result<Vec<FileLayer>> = groups.into_iter().map(layer).collect();
    Ok(layers?.into_iter().filter(|layer| !layer.datasets.is_empty() || !layer.inner.is_empty()).collect())
}

/// A layer's group and its data sets.
fn keras2(group: &Group, name: String, visited: &mut Visited) -> Hdf5Result<FileLayer> {
    let group = group.group(&name)?;
    let names = names(&group, "weight_names")?.unwrap_or_default();
    visited.add(names.len() + 1)?;
    let datasets: Hdf5Result<Vec<Dataset>> = names.iter().map(|name| dataset(&group, name)).collect();
    let datasets = names.into_iter().zip(datasets?).collect();
    Ok(FileLayer { group: name.clone(), name: Some(name), datasets, inner: Vec::new() })
}

/// A data set in a group, by its path with `/`.
fn dataset(group: &Group, path: &str) -> Hdf5Result<Dataset> {
    let Some((groups, name)) = path.rsplit_once('/') else { return group.dataset(path) };
    let mut group = group.clone();
    for (depth, part) in groups.split('/').enumerate() {
        if depth == MOST_DEPTH {
            return Err(Error::Other(format!("{path}: expected at most {MOST_DEPTH} groups in a path, found more")));
        }
        group = group.group(part)?;
    }
    group.dataset(name)
}

/// The names in an attribute, or in several, `name0`, `name1`, …, if they are too long for one.
pub(super) fn names(group: &Group, name: &str) -> Hdf5Result<Option<Vec<String>>> {
    let attributes = group.attributes()?;
    let list = |name: &str| {
        let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
        // An empty list has a number type.
        Some(
            attribute
                .num_elements()
                .and_then(|count| if count == 0 { Ok(Vec::new()) } else { attribute.read_strings() }),
        )
    };
    if let Some(names) = list(name) {
        return names.map(Some);
    }
    let parts: Hdf5Result<Vec<Vec<String>>> = (0..).map_while(|part| list(&format!("{name}{part}"))).collect();
    Ok(Some(parts?.concat()).filter(|names| !names.is_empty()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_file_of_very_many_members_is_an_error() {
        let mut visited = Visited::default();
        visited.add(MOST_MEMBERS).unwrap();
        let error = visited.add(1).unwrap_err().to_string();
        assert_eq!(error, "expected at most 131072 groups and data sets, found more");
    }
}
