//! The tests of models on the device selected by `KILN_DEVICE`. `cargo xtask test` runs all on the processor and on a
//! device with a driver.

#![allow(clippy::unwrap_used, clippy::panic)]

mod accumulate;
mod algorithms;
mod allocations;
mod asynchronous;
mod augment;
mod backbones;
mod batch_normalization;
mod bench;
mod callback_files;
mod callbacks;
mod check;
mod common;
mod constraints;
mod convolutions;
mod cooperative;
mod ema;
mod errors;
mod fit;
mod fixtures;
mod freezing;
mod functional;
mod fuzz;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hdf5")]
mod keras_files;
mod layers;
mod limits;
mod load_img;
mod long_sums;
mod losses;
mod memory;
mod mixed_precision;
mod model_files;
mod native;
mod non_finite;
#[cfg(feature = "onnx")]
mod onnx;
mod ops;
mod optimizers;
mod own_losses;
mod parameter_groups;
mod portability;
mod predictions;
mod preprocessing;
mod random_layers;
mod recorded;
mod regularizers;
mod replay;
mod resume;
mod resume_callbacks;
mod session;
#[cfg(feature = "hdf5")]
mod several;
#[cfg(feature = "hdf5")]
mod state_dicts;
mod stream;
mod training;
mod tuning;
mod weight_decay;
mod weights;
mod window_cases;
mod windows;
