//! Samples with labels.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kiln_graph::{DType, Shape};

use super::input::Input;
use super::rows::rows;
use super::samples::Samples;
use super::stream::Streamed;
use super::{DataError, Labels, SampleValue, Shared, Source, Standardization, Values};
use crate::Error;

/// Samples of one shape, with a label for each unless they are only for predictions. The model's input is `value *
/// scale + offset`, standardized if [`Augmentation::standardize`](crate::augmentation::Augmentation::standardize) was
/// applied.
///
/// A data set is a view of shared samples: clones, ranges ([`Dataset::range`], [`Dataset::split`]) and selections
/// ([`Dataset::take`]) do not copy samples.
///
/// # Example
/// ```
/// use kiln::data::{Dataset, Labels};
///
/// let images = vec![0, 51, 102, 255, 255, 0, 0, 0];
/// let data = Dataset::from_u8([2, 2, 1], images, Labels::index(vec![0, 1], 2))?;
/// assert_eq!((data.len(), data.scale()), (2, 1.0 / 255.0));
///
/// let unlabelled = Dataset::from_f32([3], vec![0.5; 6], None)?;
/// assert!(unlabelled.labels().is_none());
/// # Ok::<(), kiln::data::DataError>(())
/// ```
///
/// For a model with several inputs or outputs, [`Dataset::zip`] joins the samples of each input, and
/// [`Dataset::with_targets`] sets the labels of each output.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// At least one.
    inputs: Vec<Input>,
    /// The labels for each output of a model with a loss; empty without labels.
    targets: Vec<Labels>,
    class_names: Arc<[String]>,
    /// Empty without weights, one for all targets, or one for each target.
    sample_weights: Vec<Option<Shared<f32>>>,
    chunk: Option<usize>,
}

impl Dataset {
    /// A data set of bytes, scaled by 1/255 to 0 to 1. See [`Dataset::rescaled`] for another scale, which models that
    /// rescale their input themselves require ([`Model::rescales_input`](crate::Model::rescales_input)): `rescaled(1.0,
    /// 0.0)` keeps 0 to 255, and the default is an error.
    ///
    /// # Errors
    /// If `values` is not a whole number of samples, or `labels` do not match them.
    pub fn from_u8(
        sample_shape: impl Into<Shape>,
        values: Vec<u8>,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let count = values.len();
        let samples = Samples::InMemory(Values::U8(values.into()));
        Dataset::new(sample_shape.into(), samples, count, labels.into())
    }

    /// A data set of floats, which are not scaled.
    ///
    /// # Errors
    /// As [`Dataset::from_u8`].
    pub fn from_f32(
        sample_shape: impl Into<Shape>,
        values: Vec<f32>,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let count = values.len();
        let samples = Samples::InMemory(Values::F32(values.into()));
        Dataset::new(sample_shape.into(), samples, count, labels.into())
    }

    /// A data set whose samples are read on demand; bytes are scaled as by [`Dataset::from_u8`], floats are not scaled.
    /// Samples that fit on a device are read once and stay there; otherwise, a thread reads the next chunk while the
    /// device computes, in each epoch. Results are bit-identical.
    ///
    /// # Errors
    /// If samples have no values, or `labels` do not match them.
    pub fn streamed<S: Source<Value: SampleValue> + 'static>(
        source: S,
        labels: impl Into<Option<Labels>>,
    ) -> Result<Dataset, DataError> {
        let (shape, count) = (source.sample_shape(), source.len() * source.sample_shape().elements());
        Dataset::new(shape, Samples::Streamed(Streamed::new(source)), count, labels.into())
    }

    fn new(shape: Shape, samples: Samples, count: usize, labels: Option<Labels>) -> Result<Dataset, DataError> {
        let inputs = vec![Input::new(shape, samples, count)?];
        Dataset { inputs, targets: Vec::new(), class_names: Arc::default(), sample_weights: Vec::new(), chunk: None }
            .with_labels(labels)
    }

    /// A data set for a model with several inputs: a sample has a value for each input, in the order of
    /// [`Model::inputs`](crate::Model::inputs). Labels, weights and names of classes are those of the first part. Keras'
    /// `fit(x=[images, numbers], …)`.
    ///
    /// # Example
    /// ```
    /// use kiln::data::{Dataset, Labels};
    ///
    /// let images = Dataset::from_u8([2, 2, 1], vec![0; 12], None)?;
    /// let numbers = Dataset::from_f32([2], vec![0.5; 6], None)?;
    /// let targets = vec![Labels::index(vec![0, 1, 1], 2), Labels::values(vec![0.5, 1.5, 2.5], 1)];
    /// let data = Dataset::zip([images, numbers])?.with_targets(targets)?;
    /// assert_eq!((data.len(), data.sample_shapes().len(), data.targets().len()), (3, 2, 2));
    /// # Ok::<(), kiln::data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// If there is no part, their numbers of samples differ, or a part other than the first has labels or weights.
    pub fn zip(parts: impl IntoIterator<Item = Dataset>) -> Result<Dataset, DataError> {
        let mut parts = parts.into_iter();
        let mut data = parts.next().ok_or(DataError::NoInputs)?;
        for part in parts {
            let (input, samples) = (data.inputs.len(), data.len());
            if part.len() != samples {
                return Err(DataError::Inputs { input, samples, found: part.len() });
            }
            if !part.targets.is_empty() || !part.sample_weights.is_empty() {
                return Err(DataError::LabelledInput { input });
            }
            data.inputs.extend(part.inputs);
            data.chunk = data.chunk.into_iter().chain(part.chunk).min();
        }
        Ok(data)
    }

    /// Scales the samples: the model's input is `value * scale + offset`. Applies to all inputs.
    pub fn rescaled(self, scale: f32, offset: f32) -> Dataset {
        self.map_inputs(|input| input.rescaled(scale, offset))
    }

    fn map_inputs(self, change: impl Fn(Input) -> Input) -> Dataset {
        Dataset { inputs: self.inputs.into_iter().map(change).collect(), ..self }
    }

    /// Sets the names of the classes.
    ///
    /// # Errors
    /// If the numbers of names and classes differ.
    pub fn with_class_names(self, names: Vec<String>) -> Result<Dataset, DataError> {
        match self.classes() {
            classes if classes == names.len() => Ok(Dataset { class_names: names.into(), ..self }),
            classes => Err(DataError::ClassNames { classes, found: names.len() }),
        }
    }

    /// Sets sample weights, the factors of the samples' losses. A mean loss is still divided by the number of samples,
    /// as in Keras 3. Metrics ignore weights. With several targets, they apply to the losses of all.
    ///
    /// # Errors
    /// If the numbers of weights and samples differ.
    pub fn with_sample_weights(self, weights: Vec<f32>) -> Result<Dataset, DataError> {
        self.with_target_weights([Some(weights)])
    }

    /// Sets sample weights for each target; `None` for 1. One for all targets is [`Dataset::with_sample_weights`].
    ///
    /// # Errors
    /// If the numbers of weights and samples differ, or there are several for other numbers of targets.
    pub fn with_target_weights(
        self,
        weights: impl IntoIterator<Item = Option<Vec<f32>>>,
    ) -> Result<Dataset, DataError> {
        let sample_weights: Vec<Option<Shared<f32>>> =
            weights.into_iter().map(|weights| weights.map(Shared::from)).collect();
        if sample_weights.len() > 1 && sample_weights.len() != self.targets.len() {
            return Err(DataError::TargetWeights { targets: self.targets.len(), found: sample_weights.len() });
        }
        let samples = self.len();
        match sample_weights.iter().flatten().find(|weights| weights.len() != samples) {
            Some(weights) => Err(DataError::SampleWeights { samples, found: weights.len() }),
            None => Ok(Dataset { sample_weights, ..self }),
        }
    }

    /// Weights the samples by their classes.
    ///
    /// # Errors
    /// If they already have weights, have no labels or several targets, a class does not exist, or a weight is negative or
    /// not finite.
    pub(crate) fn with_class_weight(self, class_weight: &BTreeMap<usize, f32>) -> crate::Result<Dataset> {
        if !self.sample_weights.is_empty() {
            let expected = "weights of samples or of classes, not both".to_owned();
            return Err(Error::Argument { name: "class_weight", expected, found: "a data set with both".to_owned() });
        }
        let argument = |expected, found| Err(Error::Argument { name: "class_weight", expected, found });
        let labels = match &self.targets[..] {
            [labels] => labels,
            [] => return argument("a data set with labels".to_owned(), "one without".to_owned()),
            targets => {
                let expected = "a model with one output; set weights of samples with `with_target_weights`".to_owned();
                return argument(expected, format!("a data set with {} targets", targets.len()));
            }
        };
        let indices = labels.class_indices();
        let classes = match labels {
            Labels::Values { size: 1, .. } => indices.iter().max().map_or(0, |last| last + 1),
            _ => self.classes(),
        };
        if let Some((class, _)) = class_weight.iter().find(|(class, _)| **class >= classes) {
            let last = classes.saturating_sub(1);
            return argument(format!("one of the classes 0 to {last}"), format!("class {class}"));
        }
        if let Some((class, weight)) = class_weight.iter().find(|(_, weight)| !(weight.is_finite() && **weight >= 0.0))
        {
            return argument("weights that are numbers, 0 or more".to_owned(), format!("{weight} for class {class}"));
        }
        let weight = |class: &usize| class_weight.get(class).copied().unwrap_or(1.0);
        let weights = indices.iter().map(weight).collect();
        Ok(self.with_sample_weights(weights)?)
    }

    /// Preprocesses each input.
    ///
    /// # Errors
    /// That of the first one.
    pub(super) fn try_map_inputs(
        self,
        change: impl Fn(Input) -> Result<Input, DataError>,
    ) -> Result<Dataset, DataError> {
        let inputs: Result<Vec<Input>, DataError> = self.inputs.into_iter().map(change).collect();
        Ok(Dataset { inputs: inputs?, ..self })
    }

    /// Standardizes an input after scaling, which replaces its scale if one is given.
    pub(crate) fn standardized(
        mut self,
        input: usize,
        scale: Option<f32>,
        change: impl FnOnce(&Standardization) -> Standardization,
    ) -> Dataset {
        if let Some(input) = self.inputs.get_mut(input) {
            let standardization = change(&input.standardization);
            let scaled = scale.map_or(input.clone(), |scale| input.clone().rescaled(scale, 0.0));
            *input = scaled.standardized(standardization);
        }
        self
    }

    /// Limits the number of samples on a device at a time, at least one, for devices with little memory. By default, a
    /// device has as many as it can bind at once.
    pub fn in_chunks(self, samples: usize) -> Dataset {
        Dataset { chunk: Some(samples.max(1)), ..self }
    }

    /// Copies the samples to contiguous memory: not streamed, and in order.
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
    pub fn in_memory(&self) -> Result<Dataset, DataError> {
        let inputs: Result<Vec<Input>, DataError> = self.inputs.iter().map(Input::in_memory).collect();
        Ok(Dataset { inputs: inputs?, ..self.clone() })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.first().len
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of one sample, of its first input if there are several.
    pub fn sample_shape(&self) -> &Shape {
        &self.first().sample_shape
    }

    /// The shape of each input of one sample.
    pub fn sample_shapes(&self) -> impl ExactSizeIterator<Item = &Shape> {
        self.inputs.iter().map(|input| &input.sample_shape)
    }

    /// The data set with only the input of this index; `None` if there are fewer.
    pub fn input(&self, index: usize) -> Option<Dataset> {
        let inputs = vec![self.inputs.get(index)?.clone()];
        Some(Dataset { inputs, ..self.clone() })
    }

    /// All inputs.
    pub(crate) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    fn first(&self) -> &Input {
        &self.inputs[0]
    }

    /// The number of classes, 0 without labels. Of the first target, if there are several.
    pub fn classes(&self) -> usize {
        self.labels().map_or(0, Labels::classes)
    }

    /// The names of the classes; empty if unknown.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The sample weights, if any. Of the first target, if they differ.
    pub fn sample_weights(&self) -> Option<&Shared<f32>> {
        self.sample_weights.first()?.as_ref()
    }

    /// The sample weights of each target; a single one applies to all targets.
    pub fn target_weights(&self) -> impl ExactSizeIterator<Item = Option<&Shared<f32>>> {
        self.sample_weights.iter().map(Option::as_ref)
    }

    /// The unscaled values of all samples: shared if they are contiguous in memory, else copied or read. Of the first
    /// input, if there are several; see [`Dataset::input`].
    ///
    /// # Errors
    /// An error of the source of streamed samples, or [`DataError::Memory`].
    pub fn values(&self) -> Result<Values, DataError> {
        self.first().values()
    }

    /// Whether samples, or one of their inputs, are read on demand.
    pub fn is_streamed(&self) -> bool {
        self.inputs.iter().any(Input::is_streamed)
    }

    /// The element type of the samples on a device. Of the first input, if there are several.
    pub fn dtype(&self) -> DType {
        self.first().dtype()
    }

    /// Whether the other data set has the same data on a device: the same samples in memory or of a source, and equal
    /// labels, weights, preprocessing and chunks.
    pub(crate) fn is(&self, other: &Dataset) -> bool {
        let same_inputs = self.inputs.len() == other.inputs.len();
        let same_samples = || self.inputs.iter().zip(&other.inputs).all(|(input, other)| input.is(other));
        let same_labels = self.targets == other.targets && self.sample_weights == other.sample_weights;
        same_inputs && same_samples() && same_labels && self.chunk == other.chunk
    }

    /// The scale of the values. Of the first input, if there are several.
    pub fn scale(&self) -> f32 {
        self.first().scale
    }

    /// The offset added to scaled values. Of the first input, if there are several.
    pub fn offset(&self) -> f32 {
        self.first().offset
    }

    /// The maximum number of samples on a device at a time, if set by [`Dataset::in_chunks`].
    pub fn chunk(&self) -> Option<usize> {
        self.chunk
    }

    /// The labels, if any. Those of the first target, if there are several.
    pub fn labels(&self) -> Option<&Labels> {
        self.targets.first()
    }

    /// The labels for each output of a model, in the order of its outputs with a loss; empty without labels.
    pub fn targets(&self) -> &[Labels] {
        &self.targets
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn head(&self, n: usize) -> Dataset {
        self.range(0..n)
    }

    /// The samples of a range, clamped to the existing ones. Does not copy samples.
    pub fn range(&self, range: Range<usize>) -> Dataset {
        let end = range.end.min(self.len());
        let range = range.start.min(end)..end;
        let of_range = |weights: &Option<Shared<f32>>| weights.as_ref().map(|weights| weights.range(range.clone()));
        Dataset {
            inputs: self.inputs.iter().map(|input| input.range(range.clone())).collect(),
            targets: self.targets.iter().map(|labels| labels.range(range.clone())).collect(),
            sample_weights: self.sample_weights.iter().map(of_range).collect(),
            ..self.clone()
        }
    }

    /// Selects samples by index, in this order. Copies their labels and weights, but not the samples.
    ///
    /// # Errors
    /// [`DataError::NoSample`] if an index is out of range, or [`DataError::Memory`].
    pub fn take(&self, numbers: &[u32]) -> Result<Dataset, DataError> {
        if let Some(&found) = numbers.iter().find(|&&number| number as usize >= self.len()) {
            return Err(DataError::NoSample { samples: self.len(), found });
        }
        let taken = |weights: &Option<Shared<f32>>| {
            let weights = weights.as_ref().map(|weights| rows(weights, numbers, 1)).transpose()?;
            Ok(weights.map(Shared::from))
        };
        let inputs: Result<Vec<Input>, DataError> = self.inputs.iter().map(|input| input.take(numbers)).collect();
        let targets: Result<Vec<Labels>, DataError> = self.targets.iter().map(|labels| labels.take(numbers)).collect();
        let sample_weights: Result<Vec<_>, DataError> = self.sample_weights.iter().map(taken).collect();
        Ok(Dataset { inputs: inputs?, targets: targets?, sample_weights: sample_weights?, ..self.clone() })
    }

    /// Replaces or removes the labels. Keeps the names of the classes if their number stays the same.
    ///
    /// # Errors
    /// If the labels do not match the samples.
    pub fn with_labels(self, labels: impl Into<Option<Labels>>) -> Result<Dataset, DataError> {
        self.with_targets(labels.into().into_iter().collect())
    }

    /// Replaces the labels by those for each output of a model, in the order of its outputs with a loss. Keras'
    /// `fit(…, y=[classes, positions])`. Keeps the names of the classes if the first target has as many.
    ///
    /// # Errors
    /// If the labels do not match the samples, or there are weights for another number of targets.
    pub fn with_targets(self, targets: Vec<Labels>) -> Result<Dataset, DataError> {
        targets.iter().try_for_each(|labels| labels.check(self.len()))?;
        if self.sample_weights.len() > 1 && self.sample_weights.len() != targets.len() {
            return Err(DataError::TargetWeights { targets: targets.len(), found: self.sample_weights.len() });
        }
        let classes = targets.first().map_or(0, Labels::classes);
        let class_names = if self.class_names.len() == classes { self.class_names } else { Arc::default() };
        Ok(Dataset { targets, class_names, ..self })
    }

    /// Splits off the last `fraction` of the samples: returns the first `int(n * (1 - fraction))` and the rest, as
    /// Keras' `validation_split`. Does not copy samples. The fraction is clamped to 0 to 1.
    pub fn split(&self, fraction: f64) -> (Dataset, Dataset) {
        let first = (self.len() as f64 * (1.0 - fraction.clamp(0.0, 1.0))) as usize;
        (self.range(0..first), self.range(first..self.len()))
    }
}

#[cfg(test)]
mod tests;
