//! One function over many items, on all processors.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::context::lock;

/// naga's parser recurses deeply, more than a thread's default stack of 2 MiB is sure to hold in a debug build.
const STACK_BYTES: usize = 16 << 20;

/// `f` of every item, in order. Stops early at an error, and then gives one.
pub(crate) fn try_map<T: Sync, R: Send, E: Send>(
    items: &[T],
    f: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((index, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
        {
            let result = f(item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            lock(&done).push((index, result));
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
        for _ in 1..threads {
            // Where no more threads can be had, those that are there do the work.
            if thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}
