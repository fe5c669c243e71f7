//! Validation of a complete network.

use super::build::unfit;
use super::{Network, PlacedLayer};
use crate::{Error, Result};

impl Network {
    /// # Errors
    /// If there is no layer, or an invalid or unused one.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone().into());
        }
        if self.layers.is_empty() {
            return Err(Error::Empty(self.name.clone()));
        }
        if let Some(placed) = self.layers.iter().find(|placed| self.moves_in_predictions(placed)) {
            let expected = "a frozen layer, or a call without `training=True`".to_owned();
            let found = "`training=True`, with which predictions would use and update batch statistics";
            return Err(unfit(&placed.name, &*placed.layer, expected, found.to_owned()).into());
        }
        let needed = self.needed_for(self.output);
        match (0..self.layers.len()).find(|index| !needed.contains(index)) {
            Some(index) => {
                let PlacedLayer { name, layer, .. } = &self.layers[index];
                let expected = "a connection to the model's output".to_owned();
                let found = "an unused layer".to_owned();
                Err(unfit(name, &**layer, expected, found).into())
            }
            None => Ok(()),
        }
    }

    /// Whether the layer's `training` argument makes it update its statistics outside of training.
    fn moves_in_predictions(&self, placed: &PlacedLayer) -> bool {
        placed.training == Some(true) && placed.trainable && self.keeps_statistics(placed)
    }
}
