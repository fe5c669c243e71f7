//! The classes of a run, matched with those of other data.

use std::path::Path;

use kiln::data::{Dataset, Labels};

use super::{Run, file};
use crate::error::Error;

impl Run {
    /// Maps the classes of samples to the run's by name: another folder may lack some, and so number them differently.
    /// Classes without names are unchanged.
    ///
    /// # Errors
    /// If the run has no such class; `source` is the origin of the samples.
    pub fn in_own_classes(&self, folder: &Path, source: &str, data: Dataset) -> Result<Dataset, Error> {
        let names = data.class_names();
        let own = |name: &String| self.classes.iter().position(|own| own == name).map(|number| number as u32);
        let (false, false, Some(Labels::Index { values, .. })) =
            (self.classes.is_empty(), names.is_empty(), data.labels())
        else {
            return Ok(data);
        };
        let Some(numbers) = names.iter().map(own).collect::<Option<Vec<u32>>>() else {
            return Err(Error::OtherClassesThanRun {
                run: file(folder),
                trained: self.classes.clone(),
                data: source.to_owned(),
                found: names.to_vec(),
            });
        };
        let labels = values.iter().map(|&value| numbers[value as usize]).collect();
        let data = data.clone().with_labels(Labels::index(labels, self.classes.len()))?;
        Ok(data.with_class_names(self.classes.clone())?)
    }

    /// The classes without samples.
    pub fn classes_without_samples(&self, data: &Dataset) -> Vec<String> {
        let Some(Labels::Index { values, .. }) = data.labels() else { return Vec::new() };
        let missing = self.classes.iter().enumerate().filter(|&(number, _)| !values.contains(&(number as u32)));
        missing.map(|(_, name)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::super::tests::run;
    use super::*;

    fn data(names: &[&str], labels: &[u32]) -> Dataset {
        let data = Dataset::from_u8([1], vec![0; labels.len()], Labels::index(labels.to_vec(), names.len())).unwrap();
        data.with_class_names(names.iter().map(|&name| name.to_owned()).collect()).unwrap()
    }

    #[test]
    fn classes_are_found_by_their_names() {
        let run = Run { classes: ["ant", "bee", "cow"].map(str::to_owned).into(), ..run() };
        let found = run.in_own_classes(Path::new("r"), "d", data(&["bee", "cow"], &[0, 1, 1])).unwrap();
        assert_eq!(found.labels(), Some(&Labels::index(vec![1, 2, 2], 3)));
        assert_eq!(found.class_names(), run.classes);
        assert_eq!(run.classes_without_samples(&found), ["ant"]);

        let error = run.in_own_classes(Path::new("r"), "d", data(&["bee", "dog"], &[0, 1])).unwrap_err().to_string();
        let parts = ["run.json", "ant, bee, cow", "d: ", "bee, dog"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }

    #[test]
    fn numbers_stay_numbers() {
        let unnamed = Dataset::from_u8([1], vec![0; 2], Labels::index(vec![0, 1], 2)).unwrap();
        assert_eq!(run().in_own_classes(Path::new("r"), "d", unnamed.clone()).unwrap().labels(), unnamed.labels());
        let of_numbers = Run { classes: Vec::new(), ..run() };
        let named = data(&["a", "b"], &[1, 0]);
        assert_eq!(of_numbers.in_own_classes(Path::new("r"), "d", named.clone()).unwrap().labels(), named.labels());
    }
}
