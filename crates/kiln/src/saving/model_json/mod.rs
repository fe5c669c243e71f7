//! `model.json`: a model in the format of Keras' `to_json`.

mod calls;
mod groups;
mod operations;
mod read;
mod write;

pub(super) use read::{Reading, from_json};
pub(super) use write::to_json;

#[cfg(test)]
mod tests;
