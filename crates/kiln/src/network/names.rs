//! The names that Keras gives to layers that have none, after their classes.

use super::Network;

impl Network {
    /// The name that Keras gives to the next layer of a class: `conv2d`, `conv2d_1`, ….
    pub(super) fn free_name(&self, class_name: &str) -> String {
        let stem = snake_case(class_name);
        let numbered = (1..).map(|number| format!("{stem}_{number}"));
        let mut names = std::iter::once(stem.clone()).chain(numbered);
        names.find(|name| self.layers.iter().all(|placed| placed.name != *name)).unwrap_or(stem)
    }
}

/// Keras' rule: an underscore before a capital that follows a small letter or stands before one; `MaxPooling2D` is
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
