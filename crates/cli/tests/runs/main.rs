//! Commands obey the run that they are given: its loss, its metrics, its scale, its way to read pictures, its classes. The
//! processor will do.

#![allow(clippy::unwrap_used, clippy::panic)]

mod classes;
mod common;
mod finite;
mod measures;
mod pictures;
mod scale;
mod split;
