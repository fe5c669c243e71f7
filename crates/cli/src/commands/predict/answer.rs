//! A prediction for a picture, as text and as JSON.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::commands::run::{Outcome, Run};

/// A prediction for a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Classes with their probabilities, largest first.
    Classes(Vec<(String, f32)>),
    /// The values of a regression.
    Values(Vec<f32>),
    /// The error.
    Problem(String),
}

impl Answer {
    /// The prediction from the outputs for a picture, with at most `top` classes. `None` if an output is not finite.
    pub fn of(run: &Run, outputs: &[f32], top: usize) -> Option<Answer> {
        if !outputs.iter().all(|value| value.is_finite()) {
            return None;
        }
        let outcome = run.outcome(outputs.len());
        let values = if run.loss.from_logits() { outcome.probabilities(outputs) } else { outputs.to_vec() };
        Some(match outcome {
            Outcome::Quantities => Answer::Values(values),
            Outcome::Binary => {
                let second = values.first().copied().unwrap_or(f32::NAN);
                Answer::Classes(best(&[1.0 - second, second], &run.classes, top))
            }
            Outcome::Classes | Outcome::Labels => Answer::Classes(best(&values, &run.classes, top)),
        })
    }
}

/// The classes with the largest values, largest first: name (or index, without names) and value.
fn best(row: &[f32], classes: &[String], count: usize) -> Vec<(String, f32)> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    order.into_iter().take(count).map(|class| (name(class), row[class])).collect()
}

/// A few lines for each picture with a prediction.
pub fn as_table(answers: &[(PathBuf, Answer)]) -> String {
    let classes = |answer: &Answer| if let Answer::Classes(classes) = answer { classes.clone() } else { Vec::new() };
    let names = answers.iter().flat_map(|(_, answer)| classes(answer)).map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or_default();
    let mut text = String::new();
    for (image, answer) in answers {
        match answer {
            Answer::Problem(_) => continue,
            Answer::Classes(classes) => {
                text += &format!("{}\n", image.display());
                for (name, probability) in classes {
                    text += &format!("  {name:<width$} {:>6.2} %\n", 100.0 * probability);
                }
            }
            Answer::Values(values) => {
                text += &format!("{}\n", image.display());
                values.iter().for_each(|value| text += &format!("  {value}\n"));
            }
        }
    }
    text
}

/// A JSON object per picture.
pub fn as_json(answers: &[(PathBuf, Answer)]) -> String {
    let class = |(name, probability): &(String, f32)| json!({"class": name, "probability": probability});
    let image = |(image, answer): &(PathBuf, Answer)| {
        let image = image.display().to_string();
        match answer {
            Answer::Classes(classes) => {
                json!({"image": image, "classes": classes.iter().map(class).collect::<Vec<Value>>()})
            }
            Answer::Values(values) => json!({"image": image, "values": values}),
            Answer::Problem(problem) => json!({"image": image, "error": problem}),
        }
    };
    format!("{:#}\n", Value::Array(answers.iter().map(image).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use kiln::losses::{BinaryCrossentropy, Loss, MeanSquaredError, SparseCategoricalCrossentropy};

    use super::*;

    fn run(loss: impl Into<Arc<dyn Loss>>) -> Run {
        let classes = ["cat", "dog"].map(str::to_owned).into();
        Run { loss: loss.into(), classes, ..Run::default() }
    }

    #[test]
    fn the_largest_values_come_first_and_equal_ones_in_the_order_of_the_classes() {
        let names: Vec<String> = ["cat", "dog", "frog"].map(str::to_owned).into();
        let found = best(&[0.2, 0.6, 0.2], &names, 2);
        assert_eq!(found, [("dog".to_owned(), 0.6), ("cat".to_owned(), 0.2)]);
        assert_eq!(best(&[0.0, 1.0], &[], 5), [("1".to_owned(), 1.0), ("0".to_owned(), 0.0)]);
    }

    #[test]
    fn outputs_are_read_by_the_loss() {
        let classes = |first: (&str, f32), second: (&str, f32)| {
            Answer::Classes([first, second].map(|(name, share)| (name.to_owned(), share)).into())
        };
        let of = |loss: Arc<dyn Loss>, outputs: &[f32]| Answer::of(&run(loss), outputs, 5).unwrap();
        let bce = |from_logits| BinaryCrossentropy { from_logits, ..Default::default() }.into();
        assert_eq!(of(bce(false), &[0.25]), classes(("cat", 0.75), ("dog", 0.25)));
        assert_eq!(of(bce(true), &[0.0]), classes(("cat", 0.5), ("dog", 0.5)));
        let sparse = |from_logits| SparseCategoricalCrossentropy { from_logits }.into();
        assert_eq!(of(sparse(true), &[3.0, 3.0]), classes(("cat", 0.5), ("dog", 0.5)));
        assert_eq!(of(sparse(false), &[0.25, 0.75]), classes(("dog", 0.75), ("cat", 0.25)));
        assert_eq!(of(bce(false), &[0.5, 0.75]), classes(("dog", 0.75), ("cat", 0.5)));
        assert_eq!(of(MeanSquaredError.into(), &[7.5]), Answer::Values(vec![7.5]));
    }

    #[test]
    fn outputs_that_are_not_finite_are_no_answer() {
        for outputs in [[f32::NAN, 0.5], [0.5, f32::INFINITY], [f32::NEG_INFINITY, 0.5]] {
            let losses: [Arc<dyn Loss>; 3] = [
                SparseCategoricalCrossentropy { from_logits: true }.into(),
                BinaryCrossentropy::default().into(),
                MeanSquaredError.into(),
            ];
            for loss in losses {
                assert_eq!(Answer::of(&run(loss), &outputs, 5), None);
            }
        }
    }

    #[test]
    fn tables_and_json_name_the_picture_and_its_classes() {
        let named = |name: &str, answer| (PathBuf::from(name), answer);
        let classes = Answer::Classes(vec![("cat".to_owned(), 0.75), ("airplane".to_owned(), 0.25)]);
        let answers = [
            named("cat.jpg", classes),
            named("none.jpg", Answer::Problem("cannot read it".to_owned())),
            named("length.jpg", Answer::Values(vec![1.5, -2.0])),
        ];
        let expected = "cat.jpg\n  cat       75.00 %\n  airplane  25.00 %\nlength.jpg\n  1.5\n  -2\n";
        assert_eq!(as_table(&answers), expected);
        let json: Value = serde_json::from_str(&as_json(&answers)).unwrap();
        assert_eq!(json[0]["classes"][0], json!({"class": "cat", "probability": 0.75}));
        assert_eq!(json[1], json!({"image": "none.jpg", "error": "cannot read it"}));
        assert_eq!(json[2], json!({"image": "length.jpg", "values": [1.5, -2.0]}));
    }
}
