//! The thread that polls the device while an executor polls futures: wgpu calls back only from within a poll of the device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::task::AtomicWaker;

use crate::context::lock;

/// The pause between two polls. Waiting for the driver instead would hold a lock of wgpu that an app needs to present.
const PAUSE: Duration = Duration::from_micros(200);

/// A submission whose future waits to be woken.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(crate) waker: AtomicWaker,
    /// Whether nobody needs to poll any more: the future is done or dropped, or the device cannot be polled.
    pub(crate) over: AtomicBool,
}

/// The thread, and the channel of its watches.
type Thread = (Sender<Arc<Watch>>, JoinHandle<()>);

/// The thread of a device. It starts with the first future that an executor polls and ends with the device.
#[derive(Debug, Default)]
pub(crate) struct Poller(Mutex<Option<Thread>>);

impl Poller {
    /// Polls the device until the watch is over. Without a thread, it is over at once.
    pub(crate) fn watch(&self, device: &wgpu::Device, watch: &Arc<Watch>) {
        let mut thread = lock(&self.0);
        if thread.is_none() {
            *thread = start(device.clone());
        }
        let sent = thread.as_ref().is_some_and(|(sender, _)| sender.send(watch.clone()).is_ok());
        if !sent {
            watch.over.store(true, Ordering::Release);
            watch.waker.wake();
        }
    }
}

impl Drop for Poller {
    /// Waits for the thread, which has the device: it must not outlive the process' use of the driver.
    fn drop(&mut self) {
        let Some((sender, thread)) = lock(&self.0).take() else { return };
        drop(sender);
        // A waker may drop the last use of a device on that very thread.
        if thread.thread().id() != thread::current().id() {
            drop(thread.join());
        }
    }
}

fn start(device: wgpu::Device) -> Option<Thread> {
    let (sender, receiver) = channel();
    let work = move || poll(&device, &receiver);
    thread::Builder::new().name("kiln-gpu".to_owned()).spawn(work).ok().map(|thread| (sender, thread))
}

fn poll(device: &wgpu::Device, receiver: &Receiver<Arc<Watch>>) {
    let mut watches: Vec<Arc<Watch>> = Vec::new();
    loop {
        if watches.is_empty() {
            let Ok(watch) = receiver.recv() else { return };
            watches.push(watch);
        }
        watches.extend(receiver.try_iter());
        // wgpu panics when the driver loses the device during a poll, and a callback or a waker of others may panic too.
        let polled = catch_unwind(AssertUnwindSafe(|| device.poll(wgpu::PollType::Poll)));
        if !matches!(polled, Ok(Ok(_))) {
            for watch in watches.drain(..) {
                // The future finds the failure itself.
                watch.over.store(true, Ordering::Release);
                let _ = catch_unwind(AssertUnwindSafe(|| watch.waker.wake()));
            }
        }
        watches.retain(|watch| !watch.over.load(Ordering::Acquire));
        if !watches.is_empty() {
            thread::sleep(PAUSE);
        }
    }
}
