//! `model.json`: Keras' `to_json` form of a model.

mod calls;
mod groups;
mod read;
mod write;

pub(super) use read::from_json;
pub(super) use write::to_json;

#[cfg(test)]
mod tests;
