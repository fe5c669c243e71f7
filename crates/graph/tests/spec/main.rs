//! Tests of graphs, gradients and plans with test ops. Needs no device.

#![allow(clippy::unwrap_used, clippy::panic)]

mod buffers;
mod fusion;
mod gradients;
mod graphs;
mod ops;
mod plans;
mod windows;
