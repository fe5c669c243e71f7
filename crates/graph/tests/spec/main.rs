//! What graphs, gradients and plans promise, on ops that exist for these tests only. Needs no device.

#![allow(clippy::unwrap_used, clippy::panic)]

mod buffers;
mod fusion;
mod gradients;
mod graphs;
mod ops;
mod plans;
mod windows;
