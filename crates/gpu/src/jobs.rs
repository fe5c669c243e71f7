//! Work for all processors, joined as futures.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread;

use futures::channel::oneshot::{Receiver, Sender, channel};

use crate::context::lock;

/// naga's parser recurses deeply, more than a thread's default stack of 2 MiB is sure to hold in a debug build.
const STACK_BYTES: usize = 16 << 20;

/// Runs each job on one of a few threads. A job whose receiver is dropped before it starts does not run.
pub(crate) fn spawn<T: Send + 'static, J: FnOnce() -> T + Send + 'static>(
    jobs: impl IntoIterator<Item = J>,
) -> Vec<Receiver<T>> {
    let (mut queue, mut results) = (VecDeque::new(), Vec::new());
    for job in jobs {
        let (sender, receiver) = channel();
        queue.push_back((job, sender));
        results.push(receiver);
    }
    let threads = thread::available_parallelism().map_or(1, usize::from).min(queue.len());
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..threads {
        let queue = queue.clone();
        // Where no more threads can be had, those that are there do the work.
        if thread::Builder::new().stack_size(STACK_BYTES).spawn(move || work(&queue)).is_err() {
            break;
        }
    }
    if Arc::strong_count(&queue) == 1 {
        work(&queue);
    }
    results
}

fn work<T, J: FnOnce() -> T>(queue: &Mutex<VecDeque<(J, Sender<T>)>>) {
    let next = || lock(queue).pop_front();
    while let Some((job, result)) = next() {
        if !result.is_canceled() {
            // Nobody wants it any more if this fails.
            let _ = result.send(job());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::try_join_all;
    use kiln_graph::block_on;

    use super::*;

    #[test]
    fn all_jobs_run_and_keep_their_order() {
        let results = block_on(try_join_all(spawn((0..100).map(|i| move || i * i)))).unwrap();

        assert_eq!(results, (0..100).map(|i| i * i).collect::<Vec<_>>());
    }

    #[test]
    fn jobs_that_nobody_waits_for_do_not_run() {
        let ran = Arc::new(AtomicUsize::new(0));
        let (sender, receiver) = channel::<()>();
        drop(receiver);
        let counted = ran.clone();
        let job = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };

        work(&Mutex::new(VecDeque::from([(job, sender)])));

        assert_eq!(ran.load(Ordering::Relaxed), 0);
    }
}
