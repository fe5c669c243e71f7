//! Validation of a complete network.

use super::build::unfit;
use super::{Input, Network, PlacedLayer};
use crate::{Error, Result};

impl Network {
    /// # Errors
    /// If there is no layer, or an invalid or unused one, or two inputs have one name.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone().into());
        }
        if self.layers.is_empty() {
            return Err(Error::Empty(self.name.clone()));
        }
        self.check_inputs()?;
        if let Some(placed) = self.layers.iter().find(|placed| self.moves_in_predictions(placed)) {
            let expected = "a frozen layer, or a call without `training=True`".to_owned();
            let found = "`training=True`, with which predictions would use and update batch statistics";
            return Err(unfit(&placed.name, &*placed.layer, expected, found.to_owned()).into());
        }
        let needed = self.needed_for(&self.outputs);
        match (0..self.layers.len()).find(|index| !needed.contains(index)) {
            Some(index) => {
                let PlacedLayer { name, layer, .. } = &self.layers[index];
                let expected = "a connection to an output of the model".to_owned();
                let found = "an unused layer".to_owned();
                Err(unfit(name, &**layer, expected, found).into())
            }
            None => Ok(()),
        }
    }

    /// # Errors
    /// If the name of an input is empty, or that of another input or of a layer.
    fn check_inputs(&self) -> Result<()> {
        for (index, Input { name, .. }) in self.inputs.iter().enumerate() {
            let is_taken = self.inputs[..index].iter().any(|other| other.name == *name) || self.names.contains(name);
            if name.is_empty() || is_taken {
                let (expected, found) = ("a unique name of each input".to_owned(), format!("`{name}`"));
                return Err(Error::Argument { name: "name", expected, found });
            }
        }
        Ok(())
    }

    /// Whether the layer's `training` argument makes it update its statistics outside of training.
    fn moves_in_predictions(&self, placed: &PlacedLayer) -> bool {
        placed.training == Some(true) && placed.trainable && self.keeps_statistics(placed)
    }
}
