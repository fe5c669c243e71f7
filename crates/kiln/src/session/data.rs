//! Data sets on a session's device.

use kiln_graph::Shape;

use super::resident::Resident;
use super::{INFERENCE_BATCH, Role, Session, stamp};
use crate::data::Dataset;
use crate::losses::Misfit;
use crate::network::Node;
use crate::{Error, Result};

impl Session {
    /// Uploads a data set to the device, unless it is already there. `entry` has the node of the network at which each
    /// input of the samples enters, usually the network's inputs. Data of the same type as the current ones reuse their buffers and programs; other
    /// data get new buffers, and the previous programs are dropped.
    ///
    /// # Errors
    /// If its samples do not fit the model, it is empty, or memory runs out.
    pub fn load(&mut self, role: Role, data: &Dataset, entry: &[Node]) -> Result<()> {
        self.check_samples(data, entry)?;
        let same_entry = self.entries.insert(role, entry.to_vec()).is_some_and(|before| before == entry);
        let known = self.resident.get(&role).is_some_and(|resident| same_entry && resident.holds(data));
        if known {
            return Ok(());
        }
        self.change_data(role);
        if let Some(resident) =
            self.resident.get_mut(&role).filter(|resident| same_entry && resident.accepts(data, role))
        {
            return resident.replace(data, role, &self.buffers);
        }
        self.drop_data(role);
        let resident = Resident::upload(data, role, &self.device, &mut self.buffers)?;
        self.resident.insert(role, resident);
        Ok(())
    }

    /// The batch size of predictions for a data set, and the number of values of each output per prediction.
    ///
    /// # Errors
    /// If the samples do not fit the model, or there are none.
    pub(super) fn prediction_size(&self, data: &Dataset) -> Result<(usize, Vec<usize>)> {
        self.check_samples(data, &self.network.input_nodes())?;
        let elements = self.network.output_shapes().map(|shape| shape.elements()).collect();
        Ok((data.len().min(self.most_predicted(data)), elements))
    }

    fn most_predicted(&self, data: &Dataset) -> usize {
        self.most_at_once.min(INFERENCE_BATCH).min(data.chunk().unwrap_or(usize::MAX))
    }

    /// Allocates buffers for batches of a data set to predict for.
    ///
    /// # Errors
    /// If memory runs out.
    pub(super) fn prepare_predictions(&mut self, data: &Dataset) -> Result<()> {
        let (role, most) = (Role::Predict, self.most_predicted(data));
        let batch = data.len().min(most);
        match self.resident.get_mut(&role) {
            Some(resident) if batch <= resident.ty.capacity() && resident.accepts(data, role) => {
                // Its chunks are written one by one, in its own order.
                resident.data = data.clone();
            }
            _ => {
                self.drop_data(role);
                self.prediction_data += 1;
                // A series of growing data sets reallocates only a few times.
                let capacity = batch.next_power_of_two().min(most);
                let resident = Resident::allocate(data, role, capacity, &self.device, &mut self.buffers)?;
                self.resident.insert(role, resident);
            }
        }
        Ok(())
    }

    /// Records a change of a role's data or of their order.
    pub(super) fn change_data(&mut self, role: Role) {
        if role == Role::Train {
            self.training_data = stamp();
        }
    }

    /// # Errors
    /// If there are no samples, or they do not fit the nodes at which their inputs enter.
    pub(super) fn check_samples(&self, data: &Dataset, entry: &[Node]) -> Result<()> {
        if data.is_empty() {
            let (expected, found) = ("at least one sample".to_owned(), "an empty data set".to_owned());
            return Err(Error::Argument { name: "data", expected, found });
        }
        let misfit =
            |expected: String, found: String| Err(Error::Misfit { model: self.network.name.clone(), expected, found });
        let shape = |node: Node| self.network.shape(node).unwrap_or(&self.network.inputs[0].shape);
        if data.inputs().len() != entry.len() {
            let named = |&node: &Node| format!("{} {}", self.network.name_of(node), shape(node));
            let names = entry.iter().map(named).collect::<Vec<_>>().join(", ");
            let found = data.sample_shapes().map(Shape::to_string).collect::<Vec<_>>().join(", ");
            return misfit(
                format!("samples of {} ({names}), joined by `Dataset::zip`", inputs(entry.len())),
                format!("samples of {} ({found})", inputs(data.inputs().len())),
            );
        }
        match data.sample_shapes().zip(entry).find(|(found, node)| *found != shape(**node)) {
            None => Ok(()),
            Some((found, &node)) => {
                let of_input = if entry.len() == 1 { "" } else { &format!(" for {}", self.network.name_of(node)) };
                misfit(format!("samples {}{of_input}", shape(node)), format!("samples {found}"))
            }
        }
    }

    /// # Errors
    /// If a data set's targets do not fit the outputs and their losses.
    pub fn check_targets(&self, data: &Dataset) -> Result<()> {
        let misfit = |expected, found| Error::Misfit { model: self.network.name.clone(), expected, found };
        let (objectives, targets) = (&self.objectives.list, data.targets());
        if targets.is_empty() {
            return Err(Error::unlabelled(&self.network.name));
        }
        if targets.len() != objectives.len() {
            let names = objectives.iter().map(|objective| objective.name.as_str()).collect::<Vec<_>>().join(", ");
            let expected = format!("the targets of {} with a loss ({names})", outputs(objectives.len()));
            return Err(misfit(expected, format!("those of {}", targets.len())));
        }
        for (objective, labels) in objectives.iter().zip(targets) {
            let Some(shape) = self.network.output_shapes().nth(objective.output) else { continue };
            let of_output = match self.network.outputs.len() {
                1 => String::new(),
                _ => format!(" for the output {}", objective.name),
            };
            objective
                .loss
                .check_labels(shape, labels)
                .map_err(|Misfit { expected, found }| misfit(expected + &of_output, found))?;
        }
        Ok(())
    }

    /// Drops a data set and the programs that run on it.
    fn drop_data(&mut self, role: Role) {
        self.programs.retain(|key| key.role != role);
        self.resident.remove(&role);
    }

    /// Sets the order of the samples of a data set.
    ///
    /// # Errors
    /// If the device is lost.
    pub fn set_order(&mut self, role: Role, order: Vec<u32>) -> Result<()> {
        self.change_data(role);
        match self.resident.get_mut(&role) {
            Some(resident) => resident.set_order(role, order, &self.buffers),
            None => Ok(()),
        }
    }
}

fn inputs(count: usize) -> String {
    format!("{count} input{}", if count == 1 { "" } else { "s" })
}

fn outputs(count: usize) -> String {
    format!("{count} output{}", if count == 1 { "" } else { "s" })
}
