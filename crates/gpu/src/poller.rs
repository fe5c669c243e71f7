//! The thread that waits for the driver while an executor polls futures: wgpu calls back only from within a poll of the
//! device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::task::AtomicWaker;

use crate::context::lock;

/// A submission whose future waits to be woken.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) waker: AtomicWaker,
    /// Whether the submission is done or lost.
    pub(crate) over: AtomicBool,
}

impl Watch {
    fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The channel of the submissions to wait for.
type Watched = Sender<(wgpu::SubmissionIndex, Arc<Watch>)>;

/// The thread of a device. It starts with the first future that is polled and ends with the device.
#[derive(Debug, Default)]
pub(crate) struct Poller(Mutex<Option<Watched>>);

impl Poller {
    /// Ends the watch when a submission is done or lost. Where no thread can be had, that is at once.
    pub(crate) fn watch(&self, device: &wgpu::Device, index: &wgpu::SubmissionIndex, watch: &Arc<Watch>) {
        let mut sender = lock(&self.0);
        if sender.is_none() {
            *sender = start(device.clone());
        }
        let sent = sender.as_ref().is_some_and(|sender| sender.send((index.clone(), watch.clone())).is_ok());
        if !sent {
            watch.end();
        }
    }
}

fn start(device: wgpu::Device) -> Option<Watched> {
    let (sender, receiver) = channel::<(wgpu::SubmissionIndex, Arc<Watch>)>();
    let work = move || {
        for (index, watch) in receiver {
            let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: None };
            // A failure is found again by the future, which then reports it. wgpu panics when the driver loses the device
            // while it waits.
            let _ = catch_unwind(AssertUnwindSafe(|| device.poll(wait)));
            watch.end();
        }
    };
    thread::Builder::new().name("kiln-gpu".to_owned()).spawn(work).ok().map(|_| sender)
}
