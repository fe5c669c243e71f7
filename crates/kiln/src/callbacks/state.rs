//! The state of a callback in a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Callback;
use crate::weights::Weight;
use crate::{Error, Result};

/// The state of a callback, returned by [`Callback::state`] and saved in checkpoints: values serialised as JSON, and
/// tensors.
///
/// # Example
/// A callback that counts epochs over all parts of a training:
/// ```
/// use std::ops::ControlFlow;
///
/// use kiln::callbacks::CallbackState;
/// use kiln::{Callback, EpochLogs, Model};
///
/// #[derive(Default)]
/// struct Counter {
///     epochs: usize,
/// }
///
/// impl Callback for Counter {
///     fn on_epoch_end(&mut self, _: &mut Model, _: &EpochLogs) -> kiln::Result<ControlFlow<()>> {
///         self.epochs += 1;
///         Ok(ControlFlow::Continue(()))
///     }
///
///     fn state(&self) -> kiln::Result<Option<CallbackState>> {
///         CallbackState::new("Counter", &self.epochs).map(Some)
///     }
///
///     fn restore(&mut self, state: &CallbackState) -> kiln::Result<()> {
///         self.epochs = state.values()?;
///         Ok(())
///     }
/// }
///
/// let mut resumed = Counter::default();
/// resumed.restore(&Counter { epochs: 3 }.state()?.unwrap())?;
/// assert_eq!(resumed.epochs, 3);
/// # Ok::<(), kiln::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CallbackState {
    name: String,
    values: Value,
    tensors: Arc<[Weight]>,
}

impl CallbackState {
    /// Creates a state without tensors. A resumed training matches states by name, and states with the same name in
    /// order. JSON has no infinite numbers and no NaN, so serialise those as text.
    ///
    /// # Errors
    /// [`Error::CallbackState`] if the values cannot be serialised as JSON.
    pub fn new(name: impl Into<String>, values: &impl Serialize) -> Result<CallbackState> {
        let name = name.into();
        match serde_json::to_value(values) {
            Ok(values) => Ok(CallbackState { name, values, tensors: Arc::default() }),
            Err(error) => Err(Error::CallbackState { name, problem: error.to_string() }),
        }
    }

    /// A state from a checkpoint.
    pub(crate) fn of(name: String, values: Value, tensors: Arc<[Weight]>) -> CallbackState {
        CallbackState { name, values, tensors }
    }

    /// Adds tensors, such as weights.
    pub fn with_tensors(self, tensors: Arc<[Weight]>) -> CallbackState {
        CallbackState { tensors, ..self }
    }

    /// The name by which a resumed training matches the state.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The values of [`CallbackState::new`].
    ///
    /// # Errors
    /// [`Error::CallbackState`] if they are not of this type.
    pub fn values<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.values.clone())
            .map_err(|error| Error::CallbackState { name: self.name.clone(), problem: error.to_string() })
    }

    /// The tensors of [`CallbackState::with_tensors`].
    pub fn tensors(&self) -> &Arc<[Weight]> {
        &self.tensors
    }

    pub(crate) fn json(&self) -> &Value {
        &self.values
    }
}

/// The states of a compiled model's callbacks.
#[derive(Debug, Default)]
pub(crate) struct CallbackStates {
    /// The states of the last `fit`'s callbacks after its last complete epoch.
    pub states: Vec<CallbackState>,
    /// Whether `on_epoch_end` is being called.
    pub ending_epoch: bool,
    /// The states of a checkpoint and its number of epochs, for the next `fit`.
    resumed: Option<(Vec<CallbackState>, usize)>,
}

impl CallbackStates {
    /// Stores the states of a checkpoint with this number of epochs.
    pub fn resume(&mut self, states: Vec<CallbackState>, epochs: usize) {
        (self.states, self.resumed) = (states.clone(), Some((states, epochs)));
    }

    /// The states of the last restored checkpoint, if no `fit` has used them yet and the next one continues from it.
    pub fn take_resumed(&mut self, initial_epoch: usize) -> Option<Vec<CallbackState>> {
        self.resumed.take().filter(|(_, epochs)| *epochs == initial_epoch).map(|(states, _)| states)
    }
}

/// The states of all callbacks.
pub(crate) fn states(callbacks: &[&mut dyn Callback]) -> Result<Vec<CallbackState>> {
    callbacks.iter().filter_map(|callback| callback.state().transpose()).collect()
}

/// Restores callbacks from the states of the same name in a checkpoint, in order. Logs a warning for unmatched
/// callbacks and states.
pub(crate) fn restore(callbacks: &mut [&mut dyn Callback], saved: Vec<CallbackState>) -> Result<()> {
    let mut by_name: BTreeMap<String, Vec<CallbackState>> = BTreeMap::new();
    for state in saved.into_iter().rev() {
        by_name.entry(state.name.clone()).or_default().push(state);
    }
    for callback in callbacks {
        let Some(own) = callback.state()? else { continue };
        match by_name.get_mut(own.name()).and_then(Vec::pop) {
            Some(state) => callback.restore(&state)?,
            None => tracing::warn!("the checkpoint has no state of {}: it starts from its initial state", own.name()),
        }
    }
    for state in by_name.values().flatten() {
        tracing::warn!("the checkpoint's state of {} is not used: no callback has this name", state.name);
    }
    Ok(())
}

/// Serialises a figure as text, for serde's `with`: exact, and including NaN and infinity, which JSON numbers cannot
/// represent.
pub(super) mod exact {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    pub fn serialize<S: Serializer>(figure: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        figure.map(|figure| figure.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    struct Named(&'static str, u32);

    impl Callback for Named {
        fn state(&self) -> Result<Option<CallbackState>> {
            CallbackState::new(self.0, &self.1).map(Some)
        }

        fn restore(&mut self, state: &CallbackState) -> Result<()> {
            self.1 = state.values()?;
            Ok(())
        }
    }

    #[test]
    fn states_are_matched_by_name_and_those_of_one_name_in_order() {
        let state = |name: &str, value: u32| CallbackState::new(name, &value).unwrap();
        let (mut a, mut b, mut c, mut d) = (Named("x", 0), Named("y", 0), Named("x", 0), Named("z", 0));
        let saved = vec![state("x", 1), state("x", 2), state("y", 3), state("w", 4)];
        restore(&mut [&mut a, &mut b, &mut c, &mut d], saved).unwrap();
        assert_eq!([a.1, b.1, c.1, d.1], [1, 3, 2, 0]);
    }

    #[test]
    fn values_of_another_type_are_an_error_that_names_the_callback() {
        let error = CallbackState::new("x", &"text").unwrap().values::<u32>().unwrap_err().to_string();
        assert!(error.starts_with("the state of the callback `x`: ") && error.contains("expected u32"), "{error}");
    }

    #[test]
    fn figures_keep_their_bits() {
        #[derive(PartialEq, Debug, serde::Serialize, serde::Deserialize)]
        struct Best(#[serde(with = "exact")] Option<f64>);
        for best in [None, Some(0.1 + 0.2), Some(f64::INFINITY), Some(f64::NEG_INFINITY), Some(1e-310)] {
            let text = serde_json::to_string(&Best(best)).unwrap();
            assert_eq!(serde_json::from_str::<Best>(&text).unwrap(), Best(best), "{text}");
        }
    }
}
