//! Data sets on a session's device.

use super::resident::Resident;
use super::{INFERENCE_BATCH, Role, Session, stamp};
use crate::data::Dataset;
use crate::network::Node;
use crate::{Error, Result};

impl Session {
    /// Uploads a data set to the device, unless it is already there. `entry` is the node of the network at which the
    /// samples enter, usually its input. Data of the same type as the current ones reuse their buffers and programs; other
    /// data get new buffers, and the previous programs are dropped.
    ///
    /// # Errors
    /// If its samples do not fit the model, it is empty, or memory runs out.
    pub fn load(&mut self, role: Role, data: &Dataset, entry: Node) -> Result<()> {
        self.check_samples(data, entry)?;
        let same_entry = self.entries.insert(role, entry) == Some(entry);
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

    /// The batch size of predictions for a data set, and the number of values per prediction.
    ///
    /// # Errors
    /// If the samples do not fit the model, or there are none.
    pub(super) fn prediction_size(&self, data: &Dataset) -> Result<(usize, usize)> {
        self.check_samples(data, self.network.input())?;
        Ok((data.len().min(self.most_predicted(data)), self.network.output_shape().elements()))
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

    pub(super) fn check_samples(&self, data: &Dataset, entry: Node) -> Result<()> {
        if data.is_empty() {
            let (expected, found) = ("at least one sample".to_owned(), "an empty data set".to_owned());
            return Err(Error::Argument { name: "data", expected, found });
        }
        let expected = self.network.shape(entry).unwrap_or(&self.network.input_shape);
        if data.sample_shape() != expected {
            let expected = format!("samples {expected}");
            let (model, found) = (self.network.name.clone(), format!("samples {}", data.sample_shape()));
            return Err(Error::Misfit { model, expected, found });
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
