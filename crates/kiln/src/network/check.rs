//! Whether a network is complete.

use super::build::unfit;
use super::{Network, PlacedLayer};
use crate::{Error, Result};

impl Network {
    /// # Errors
    /// If there is no layer, or one that does not fit or that the output does not need.
    pub fn check(&self) -> Result<()> {
        if let Some(error) = &self.broken {
            return Err(error.clone().into());
        }
        if self.layers.is_empty() {
            return Err(Error::Empty(self.name.clone()));
        }
        if let Some(placed) = self.layers.iter().find(|placed| self.moves_in_predictions(placed)) {
            let expected = "to be frozen, or called without `training=True`".to_owned();
            let found = "`training=True`, with which a prediction would use and move the statistics of its batch";
            return Err(unfit(&placed.name, &*placed.layer, expected, found.to_owned()).into());
        }
        let needed = self.needed_for(self.output);
        match (0..self.layers.len()).find(|index| !needed.contains(index)) {
            Some(index) => {
                let PlacedLayer { name, layer, .. } = &self.layers[index];
                let expected = "to be on the way to the model's output".to_owned();
                let found = "a layer that nothing takes".to_owned();
                Err(unfit(name, &**layer, expected, found).into())
            }
            None => Ok(()),
        }
    }

    /// Whether a layer is called so that it would move its statistics outside of a training, too.
    fn moves_in_predictions(&self, placed: &PlacedLayer) -> bool {
        placed.training == Some(true) && placed.trainable && self.keeps_statistics(placed)
    }
}
