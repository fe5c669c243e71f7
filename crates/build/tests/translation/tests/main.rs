//! Every kernel on the processor, with vectors of every width, checked and not, in several orders and by several
//! threads, against the same kernel on a GPU (a driver that computes on the processor will do).

#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod devices;
mod inputs;
mod kernels;
mod misuse;
