//! Runs plans with translated kernels.
