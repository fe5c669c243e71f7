//! Commands use the configuration of a run: its loss, metrics, scaling, image options and classes. Runs on the
//! processor.

#![allow(clippy::unwrap_used, clippy::panic)]

mod classes;
mod common;
mod convert;
mod finite;
mod measures;
mod pictures;
mod scale;
mod split;
