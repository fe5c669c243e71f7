//! The input of a run's model, and the preparation of samples for it.

use std::path::Path;

use kiln::Model;
use kiln::data::{ColorMode, Dataset, Preprocessing};
use kiln::graph::Shape;
use serde::{Deserialize, Serialize};

use super::{Rescale, Run, file};
use crate::error::Error;

/// The type of the samples' values, by its Keras name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// Bytes, as of pictures.
    UInt8,
    /// Numbers.
    Float32,
}

impl DType {
    /// The type of a data set's samples.
    pub fn of(data: &Dataset) -> DType {
        match data.dtype() {
            kiln::graph::DType::U8 => DType::UInt8,
            _ => DType::Float32,
        }
    }
}

/// Samples prepared for a model.
pub struct Prepared {
    /// The samples with their scaling.
    pub data: Dataset,
    /// The scaling as text.
    pub words: String,
}

impl Run {
    /// Scales samples as in training. The run's scaling applies to values of the type that it was trained on. Floats
    /// for a run of bytes are not scaled, and bytes for a run of floats need a `rescale`, which overrides the run's
    /// scaling.
    ///
    /// # Errors
    /// If there is no scaling, or it contradicts the run's.
    pub fn prepared(
        &self,
        folder: &Path,
        model: &Model,
        data: Dataset,
        rescale: Option<Rescale>,
    ) -> Result<Prepared, Error> {
        if let (Some(_), Some(preprocessing)) = (rescale, self.preprocessing) {
            return Err(self.contradicts(folder, "--rescale", format!("preprocessing {}", preprocessing.name())));
        }
        let rule = rescale.unwrap_or(self.rescale);
        match (self.dtype, DType::of(&data)) {
            (DType::UInt8, DType::Float32) if rescale.is_none() => {
                let words = "f32 values go in as they are, although the network was trained on bytes".to_owned();
                Ok(Prepared { data: Rescale::NONE.apply(data), words })
            }
            (DType::Float32, DType::UInt8) if rescale.is_none() && !self.knows_bytes(model) => {
                Err(Error::NoRule { run: file(folder) })
            }
            _ => {
                let words = words(rule, self.preprocessing, DType::of(&data), model.rescales_input());
                let data = self.standardized(rule.apply(data))?;
                Ok(Prepared { data, words })
            }
        }
    }

    /// Whether a run of floats determines the scaling of bytes.
    fn knows_bytes(&self, model: &Model) -> bool {
        self.rescale != Rescale::NONE || self.preprocessing.is_some() || model.rescales_input().is_some()
    }

    /// The scaling of its samples, as text.
    pub fn input_words(&self, model: &Model) -> String {
        words(self.rescale, self.preprocessing, self.dtype, model.rescales_input())
    }

    /// The error for a value that contradicts the run's.
    pub fn contradicts(&self, folder: &Path, found: &str, trained: String) -> Error {
        Error::Contradiction { run: file(folder), trained, found: found.to_owned() }
    }

    /// # Errors
    /// If model.json does not match the run.
    pub fn check_model(&self, folder: &Path, model: &Model) -> Result<(), Error> {
        let shape = model.input_shape();
        let found = format!("model.json with an input {shape}");
        if let (Some([height, width]), Some(color)) = (self.image_size, self.color_mode)
            && shape.dims() != Some([height, width, color.channels()])
        {
            let trained = format!("image_size {height}x{width} and color_mode {}", color.name());
            return Err(self.contradicts(folder, &found, trained));
        }
        let outputs = model.output_shape()?.elements();
        // One output may represent two classes.
        if outputs > 1 && self.classes.len() > outputs {
            let found = format!("model.json with {outputs} outputs");
            return Err(self.contradicts(folder, &found, format!("{} classes", self.classes.len())));
        }
        Ok(())
    }
}

/// Height and width in pixels, and the channels, of samples of this shape, if they are images.
pub fn image_of(shape: &Shape) -> (Option<[usize; 2]>, Option<ColorMode>) {
    let image =
        shape.dims().and_then(|[height, width, channels]| Some(([height, width], ColorMode::of_channels(channels)?)));
    image.unzip()
}

/// The scaling of values of a type, as text.
fn words(rule: Rescale, preprocessing: Option<Preprocessing>, dtype: DType, own: Option<&str>) -> String {
    match (preprocessing, dtype) {
        (Some(preprocessing), _) => {
            format!("pictures go in as Keras' preprocess_input ({}) leaves them", preprocessing.name())
        }
        (None, DType::Float32) if rule == Rescale::NONE => "f32 values go in as they are".to_owned(),
        (None, DType::Float32) => format!("f32 values go in times {rule}"),
        (None, DType::UInt8) => {
            let by = if rule == Rescale::NONE { String::new() } else { format!(" (times {rule})") };
            let own = own.map(|layer| format!("; the model's layer {layer} scales them")).unwrap_or_default();
            format!("bytes go in as {}{by}{own}", rule.of_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use kiln::Sequential;
    use kiln::data::Labels;
    use kiln::layers::{Dense, Rescaling};

    use super::super::tests::run;
    use super::*;

    fn labels() -> Labels {
        Labels::index(vec![0], 2)
    }

    fn bytes() -> Dataset {
        Dataset::from_u8([2], vec![0, 255], labels()).unwrap()
    }

    fn numbers() -> Dataset {
        Dataset::from_f32([2], vec![0.0, 1.0], labels()).unwrap()
    }

    fn model() -> Model {
        let mut model = Sequential::new([2]);
        model.add(Dense::new(2));
        model
    }

    /// The scaling of samples for a run, or the error.
    fn rule(run: &Run, model: &Model, data: Dataset, rescale: Option<Rescale>) -> Result<(Rescale, String), String> {
        let prepared = run.prepared(Path::new("r"), model, data, rescale).map_err(|error| error.to_string())?;
        Ok((Rescale::of(&prepared.data), prepared.words))
    }

    #[test]
    fn values_of_the_type_that_was_trained_on_have_the_rule_of_the_run() {
        let of_bytes = Run { rescale: Rescale::TO_1, ..run() };
        let (found, words) = rule(&of_bytes, &model(), bytes().rescaled(1.0, 0.0), None).unwrap();
        assert_eq!((found, &*words), (Rescale::TO_1, "bytes go in as 0 to 1 (times 1/255)"));
        let (found, words) = rule(&of_bytes, &model(), bytes(), Some(Rescale(1.0 / 127.5, -1.0))).unwrap();
        assert_eq!((found, words.contains("as -1 to 1")), (Rescale(1.0 / 127.5, -1.0), true));
        let (found, words) = rule(&of_bytes, &model(), numbers(), None).unwrap();
        assert_eq!((found, words.contains("as they are")), (Rescale::NONE, true));
        assert_eq!(rule(&of_bytes, &model(), numbers(), Some(Rescale::TO_1)).unwrap().0, Rescale::TO_1);
    }

    #[test]
    fn bytes_for_a_run_of_numbers_need_a_rule() {
        let of_numbers = Run { dtype: DType::Float32, rescale: Rescale::NONE, ..run() };
        let error = rule(&of_numbers, &model(), bytes(), None).unwrap_err();
        assert!(error.contains("run.json") && error.contains("--rescale"), "{error}");
        assert_eq!(rule(&of_numbers, &model(), bytes(), Some(Rescale::TO_1)).unwrap().0, Rescale::TO_1);
        let mut own = Sequential::new([2]);
        own.add(Rescaling::new(1.0 / 255.0)).add(Dense::new(2));
        let (found, words) = rule(&of_numbers, &own, bytes(), None).unwrap();
        assert_eq!(found, Rescale::NONE);
        assert_eq!(words, "bytes go in as 0 to 255; the model's layer rescaling scales them");
    }

    #[test]
    fn another_model_is_a_contradiction_that_names_both() {
        let error = run().check_model(Path::new("r"), &model()).unwrap_err().to_string();
        assert!(error.contains("image_size 4x6 and color_mode grayscale") && error.contains("input [2]"), "{error}");
        let many = Run { image_size: None, classes: vec![String::new(); 3], ..run() };
        let error = many.check_model(Path::new("r"), &model()).unwrap_err().to_string();
        assert!(error.contains("3 classes") && error.contains("2 outputs"), "{error}");
    }
}
