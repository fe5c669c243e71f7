//! Free memory of the machine, and fallible allocations.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use kiln_graph::DeviceKind;
use sysinfo::{MemoryRefreshKind, System};

use crate::{Device, Error, Result};

/// The number of bytes read from a file of unknown length between two checks of the free memory.
const STEP: usize = 64 << 20;

/// The bytes that this process can allocate before the machine swaps or a limit of a control group or the process
/// (`ulimit -v`) is reached; `None` if unknown.
pub(crate) fn free() -> Option<u64> {
    static SYSTEM: Mutex<Option<System>> = Mutex::new(None);
    let mut system = SYSTEM.lock().unwrap_or_else(PoisonError::into_inner);
    if system.is_none() {
        *system = System::new().ok();
    }
    let system = system.as_mut()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let machine = Some(system.available_memory()).filter(|&bytes| bytes > 0)?;
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    Some(machine.min(group).min(address_space()))
}

/// The remaining bytes of `ulimit -v`.
fn address_space() -> u64 {
    let read = |file: &str| std::fs::read_to_string(file).ok();
    let left = || {
        let limits = read("/proc/self/limits")?;
        let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
        let limit: u64 = limit.split_whitespace().next()?.parse().ok()?; // `unlimited` is none
        let status = read("/proc/self/status")?;
        let used = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
        let used: u64 = used.split_whitespace().next()?.parse().ok()?;
        Some(limit.saturating_sub(used.saturating_mul(1024)))
    };
    left().unwrap_or(u64::MAX)
}

/// The bytes available for buffers of a device: the machine's, for a device without its own memory. `None` if unknown,
/// as for discrete GPUs, which refuse a buffer when they are full.
pub(crate) fn free_on(device: &Device) -> Option<u64> {
    match device.info().kind {
        DeviceKind::Cpu | DeviceKind::Software | DeviceKind::IntegratedGpu => free(),
        _ => None,
    }
}

/// # Errors
/// [`Error::Memory`] if `what` needs more than the `free` bytes, if known.
pub(crate) fn check(what: impl FnOnce() -> String, bytes: u64, free: Option<u64>) -> Result<()> {
    match free {
        Some(free) if bytes > free => Err(Error::Memory { what: what(), bytes, free: Some(free) }),
        _ => Ok(()),
    }
}

/// An empty vector with capacity for `elements` elements.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`].
pub(crate) fn with_capacity<T>(elements: usize) -> io::Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(elements).map_err(|_| io::ErrorKind::OutOfMemory)?;
    Ok(values)
}

/// A vector of `elements` default values.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`].
pub(crate) fn zeroed<T: Clone + Default>(elements: usize) -> io::Result<Vec<T>> {
    let mut values = with_capacity(elements)?;
    values.resize(elements, T::default());
    Ok(values)
}

/// Reads to the end, as [`Read::read_to_end`], for compressed files, which may expand a thousandfold.
///
/// # Errors
/// An error of the reader, or [`io::ErrorKind::OutOfMemory`] if the data need more than half of the free memory.
pub(crate) fn read_to_end(mut reader: impl Read) -> (Vec<u8>, io::Result<()>) {
    let mut bytes = Vec::new();
    loop {
        if let Err(error) = bytes.try_reserve(1 << 16) {
            return (bytes, Err(io::Error::new(io::ErrorKind::OutOfMemory, error)));
        }
        match reader.by_ref().take(STEP as u64).read_to_end(&mut bytes) {
            Ok(0) => return (bytes, Ok(())),
            Ok(_) if bytes.len() >= STEP && free().is_some_and(|free| bytes.len() as u64 > free) => {
                let message =
                    format!("{} bytes are unpacked and there are more, which would fill the memory", bytes.len());
                return (bytes, Err(io::Error::new(io::ErrorKind::OutOfMemory, message)));
            }
            Ok(_) => {}
            Err(error) => return (bytes, Err(error)),
        }
    }
}

/// Bytes in a readable unit: `12.3 GB`.
pub(crate) fn readable(bytes: u64) -> String {
    let units = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6)];
    let size = bytes as f64;
    match units.into_iter().find(|&(_, unit)| size >= unit) {
        Some((name, unit)) => format!("{:.1} {name}", size / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn some_memory_is_free_and_not_all_that_can_be_counted() {
        if let Some(free) = free() {
            assert!((1 << 20..1 << 50).contains(&free), "{free}");
        }
    }

    #[test]
    fn what_needs_more_than_is_free_is_an_error_with_both_figures() {
        let what = || "the images".to_owned();
        assert!(check(what, 5, Some(5)).is_ok() && check(what, 5, None).is_ok());
        let error = check(what, 12_345_678_900, Some(5_000_000)).unwrap_err().to_string();
        assert_eq!(error, "not enough memory for the images: 12.3 GB needed, 5.0 MB free");
    }

    #[test]
    fn more_than_there_is_cannot_be_had() {
        assert_eq!(with_capacity::<u8>(usize::MAX).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeroed::<u32>(usize::MAX / 8).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeroed::<u32>(3).unwrap(), [0; 3]);
    }

    #[test]
    fn a_reader_is_read_to_its_end() {
        let (bytes, result) = read_to_end(&[7; 100_000][..]);
        assert!(result.is_ok() && bytes == [7; 100_000]);
    }
}
