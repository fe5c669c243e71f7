//! Errors of wgpu, caught in error scopes.

use std::fmt;
use std::task::{Context as Task, Poll, Waker};

use futures::future::{BoxFuture, FutureExt};
use kiln_graph::DeviceError;

use crate::context::Context;

/// An error that wgpu reports later, if there is one: a browser answers when its event loop runs again.
type LateError = BoxFuture<'static, Option<wgpu::Error>>;

/// The outcome of a function that called wgpu.
pub(crate) struct Captured<T> {
    pub(crate) value: T,
    /// The error that wgpu reported at once, as native backends do.
    pub(crate) error: Option<wgpu::Error>,
    /// The scopes that have not answered yet.
    pub(crate) late: Vec<LateError>,
}

/// Runs `f` and catches the errors that wgpu reports from it on this thread. Does not wait.
pub(crate) fn capture<T>(device: &wgpu::Device, f: impl FnOnce() -> T) -> Captured<T> {
    let filters = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
    let scopes = filters.map(|filter| device.push_error_scope(filter));
    let value = f();
    let mut captured = Captured { value, error: None, late: Vec::new() };
    for scope in scopes.into_iter().rev() {
        let mut answer = scope.pop();
        match (&mut answer).now_or_never() {
            Some(error) => captured.error = captured.error.or(error),
            None => captured.late.push(answer.boxed()),
        }
    }
    captured
}

/// Scopes that have not answered yet, each with what was tried.
#[derive(Default)]
pub(crate) struct Late(Vec<(String, LateError)>);

impl Late {
    pub(crate) fn push(&mut self, what: &str, answer: LateError) {
        self.0.push((what.to_owned(), answer));
    }

    pub(crate) fn append(&mut self, mut other: Late) {
        self.0.append(&mut other.0);
    }

    /// Ready when all have answered.
    ///
    /// # Errors
    /// The first error of them, which is the device's fault from then on.
    pub(crate) fn poll(&mut self, context: &Context, task: &mut Task<'_>) -> Poll<Result<(), DeviceError>> {
        let mut first = None;
        self.0.retain_mut(|(what, answer)| match answer.poll_unpin(task) {
            Poll::Ready(error) => {
                if let Some(error) = error {
                    first.get_or_insert_with(|| context.fail(what, error));
                }
                false
            }
            Poll::Pending => true,
        });
        match first {
            Some(error) => Poll::Ready(Err(error)),
            None if self.0.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    /// Whether all have answered, without waiting.
    ///
    /// # Errors
    /// As [`Late::poll`].
    pub(crate) fn is_settled(&mut self, context: &Context) -> Result<bool, DeviceError> {
        match self.poll(context, &mut Task::from_waker(Waker::noop())) {
            Poll::Ready(result) => result.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(what, _)| what)).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::{poll_fn, ready};
    use std::task::Poll;

    use kiln_graph::{Device, DeviceError, block_on};

    use crate::{GpuDevice, Options, Selector};

    /// Answers at the second poll, as a browser's promise does.
    async fn late(error: Option<wgpu::Error>) -> Option<wgpu::Error> {
        let mut polled = false;
        let second = poll_fn(|task| match std::mem::replace(&mut polled, true) {
            true => Poll::Ready(()),
            false => {
                task.waker().wake_by_ref();
                Poll::Pending
            }
        });
        second.await;
        error
    }

    #[test]
    fn an_error_that_comes_late_is_that_of_the_next_submission_and_stays_the_devices_fault() {
        let device = GpuDevice::open(&Selector::Best, Options::default()).unwrap();
        let buffer = device.allocate("x", 4).unwrap();
        let mut list = super::Late::default();
        list.push("nothing wrong", Box::pin(late(None)));
        device.context.put_late(list);
        assert_eq!(buffer.read(0, 4).unwrap(), [0; 4]);

        let mut list = super::Late::default();
        list.push("a large buffer", Box::pin(late(Some(wgpu::Error::OutOfMemory { source: "".into() }))));
        list.push("no error", Box::pin(ready(None)));
        device.context.put_late(list);
        let first = buffer.read_async(0, 4).unwrap();
        drop(first); // Leaves the errors to the next one.
        let mut next = buffer.read_async(0, 4).unwrap();
        let error = loop {
            match next.try_wait() {
                Ok(bytes) => assert_eq!(bytes, None),
                Err(error) => break error,
            }
        };

        let is_ours =
            |error: &DeviceError| matches!(error, DeviceError::OutOfMemory { what, .. } if what == "a large buffer");
        assert!(is_ours(&error), "{error}");
        assert!(is_ours(&buffer.write(0, &[0; 4]).unwrap_err()));
        assert!(is_ours(&block_on(next).unwrap_err()));
    }
}
