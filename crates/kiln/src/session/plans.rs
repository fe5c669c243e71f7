//! The plans of programs, within the device's binding limit.

use kiln_graph::{Limits, Plan};

use super::data_type::DataType;
use super::graphs::{self, Batch};
use super::programs::Key;
use super::{Mode, Role, Session};
use crate::data::Dataset;
use crate::network::{Network, Node};
use crate::{Error, Result};

/// The maximum size of a layer's output in predictions and evaluations of more than one sample, in bytes: WebGPU's
/// default binding limit, and more than enough to keep a device busy.
const INFERENCE_BYTES: u64 = 128 << 20;

/// The maximum batch size of predictions and evaluations, such that each layer's output fits one binding. Predictions do
/// not depend on it, so a device with a small binding limit computes few samples at a time.
pub(super) fn most_at_once(network: &Network, limits: &Limits) -> usize {
    let bytes = limits.window_bytes().min(limits.max_buffer_bytes).min(INFERENCE_BYTES);
    (bytes / (network.largest_sample() as u64 * 4).max(1)).max(1) as usize
}

impl Session {
    /// The plan of a program for the data set that is on the device.
    ///
    /// # Errors
    /// If the network is not compiled, or an op cannot run within the device's limits: [`Error::BatchTooLarge`] if
    /// smaller batches can.
    pub fn plan(&self, key: Key) -> Result<Plan> {
        let resident = self.resident.get(&key.role).ok_or_else(|| self.not_ready("a plan", "fit"))?;
        let entry = self.entries.get(&key.role).cloned().unwrap_or_else(|| self.network.input_nodes());
        self.plan_for((&entry, &resident.ty), key)
    }

    /// Checks whether training in batches of this size can begin on a data set that is not on the device yet.
    ///
    /// # Errors
    /// If the samples do not fit the network, and as [`Session::plan`].
    pub fn check(&self, data: &Dataset, batch: usize) -> Result<()> {
        let (entry, role, batch) = (self.network.input_nodes(), Role::Train, batch.clamp(1, data.len().max(1)));
        self.check_samples(data, &entry)?;
        let data = DataType::of(data, role, batch);
        self.keys(Mode::Train, role, batch)
            .into_iter()
            .try_for_each(|key| self.plan_for((&entry, &data), key).map(|_| ()))
    }

    fn plan_for(&self, samples: (&[Node], &DataType), key: Key) -> Result<Plan> {
        match self.plan_of(samples, key) {
            Err(Error::Graph(source @ kiln_graph::Error::TooLarge { .. })) => {
                // Halve until one fits, then try halfway back.
                let (mut fits, mut step) = (0, key.size.next_power_of_two() / 2);
                while step > 0 {
                    let size = fits + step;
                    if size < key.size && self.plan_of(samples, Key { size, ..key }).is_ok() {
                        fits = size;
                    }
                    step /= 2;
                }
                // The same number of shards of a smaller batch.
                let shards = self.shards(key.mode, key.whole).unwrap_or(1);
                Err(Error::BatchTooLarge { batch: key.whole, fits: fits * shards, source })
            }
            other => other,
        }
    }

    fn plan_of(&self, (entry, data): (&[Node], &DataType), key: Key) -> Result<Plan> {
        let Key { mode, role, size, whole } = key;
        let compiled = || self.compiled_for("a loss");
        let trains = matches!(mode, Mode::Train | Mode::Gradients | Mode::Apply);
        let augmentation = self.augmentation.as_ref().filter(|_| trains);
        let (network, layout) = (&self.network, &self.layout);
        let precision = self.precision;
        let objectives = &self.objectives;
        let of = Batch { network, layout, objectives, entry, data, augmentation, role, mode, precision, size, whole };
        let graph = match mode {
            Mode::Train => graphs::training(&of, compiled()?)?,
            Mode::Gradients => graphs::gradient(&of, compiled()?)?,
            Mode::Apply => graphs::application(&of, compiled()?)?,
            Mode::Evaluate => {
                compiled()?;
                graphs::evaluation(&of)?
            }
            Mode::Predict => graphs::prediction(&of)?,
        };
        self.device.plan(&graph)
    }

    fn not_ready(&self, action: &'static str, call: &'static str) -> Error {
        Error::NotReady { model: self.network.name.clone(), action, call }
    }
}
