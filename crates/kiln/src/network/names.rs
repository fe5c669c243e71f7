//! Default names of layers, derived from their classes as in Keras.

use std::collections::{HashMap, HashSet};

/// The names of a network's layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    taken: HashSet<String>,
    /// The number of names known to be in use, per stem.
    numbers: HashMap<String, usize>,
}

impl Names {
    pub fn contains(&self, name: &str) -> bool {
        self.taken.contains(name)
    }

    pub fn insert(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }

    /// Keras' default name of the next layer of a class: `conv2d`, `conv2d_1`, ….
    pub fn free(&mut self, class_name: &str) -> String {
        let stem = snake_case(class_name);
        let number = self.numbers.entry(stem.clone()).or_default();
        loop {
            let name = if *number == 0 { stem.clone() } else { format!("{stem}_{number}") };
            if !self.taken.contains(&name) {
                return name;
            }
            *number += 1;
        }
    }
}

/// Keras' rule: an underscore before a capital that follows or precedes a lower-case letter; `MaxPooling2D` is
/// `max_pooling2d`.
pub(crate) fn snake_case(class_name: &str) -> String {
    let letters: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    for (i, &letter) in letters.iter().enumerate() {
        let lower_at = |i: Option<usize>| i.and_then(|i| letters.get(i)).is_some_and(char::is_ascii_lowercase);
        if i > 0 && letter.is_ascii_uppercase() && (lower_at(i.checked_sub(1)) || lower_at(Some(i + 1))) {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}
