//! One file per command.

pub mod data;
pub mod devices;
pub mod evaluate;
mod run;
mod source;
pub mod summary;
pub mod train;
