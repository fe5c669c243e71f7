//! The blocking edge: waiting for a future on the calling thread.

use std::cell::Cell;

thread_local! {
    static MAY_WAIT: Cell<bool> = const { Cell::new(false) };
}

/// Waits on the calling thread until a future is done. Kiln's blocking methods are their asynchronous ones behind this call.
///
/// While the future is polled, [`may_wait`] is true, so that a device can wait for its driver right here instead of having
/// another thread do it.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// Restores the state of before, also when the future panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            MAY_WAIT.set(self.0);
        }
    }
    let _restore = Restore(MAY_WAIT.replace(true));
    pollster::block_on(future)
}

/// Whether the calling thread is inside [`block_on`], so that a future may wait in its `poll`. A future polled by an
/// executor must not.
pub fn may_wait() -> bool {
    MAY_WAIT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_may_wait_inside_of_block_on_alone() {
        assert!(!may_wait());
        block_on(async {
            assert!(may_wait());
            block_on(async { assert!(may_wait()) });
            assert!(may_wait());
        });
        assert!(std::panic::catch_unwind(|| block_on(async { std::panic::resume_unwind(Box::new(())) })).is_err());
        assert!(!may_wait());
    }
}
