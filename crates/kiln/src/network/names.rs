//! Names that Keras makes of classes.

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
