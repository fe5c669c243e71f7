//! The threads that run a program.

use std::time::{Duration, Instant};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// The calling thread and its helpers, which sleep while nothing runs.
#[derive(Debug)]
pub(crate) struct Team {
    threads: usize,
    /// One thread fewer than the team has; `None` where that is none.
    helpers: Option<ThreadPool>,
}

impl Team {
    /// A team of `threads` threads, including the calling one; or the reason why there is none.
    pub(crate) fn new(threads: usize) -> Result<Team, String> {
        if threads <= 1 {
            return Ok(Team { threads: 1, helpers: None });
        }
        let builder =
            ThreadPoolBuilder::new().num_threads(threads - 1).thread_name(|index| format!("kiln-cpu {index}"));
        let pool = builder.build().map_err(|error| format!("{threads} threads cannot be started: {error}"))?;
        Ok(Team { threads, helpers: Some(pool) })
    }

    /// The number of threads, including the calling one.
    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs `work` on every thread at the same time and waits for all.
    pub(crate) fn run(&mut self, work: impl Fn() + Sync) {
        let work = &work;
        match &self.helpers {
            Some(pool) => pool.in_place_scope(|scope| {
                scope.spawn_broadcast(move |_, _| work());
                work();
            }),
            None => work(),
        }
    }
}

/// Waits for another thread until `is_done`: first spinning, because most waits are short; then yielding, because the other
/// thread may need this core; at last sleeping, because a single workgroup may run for long.
pub(crate) fn wait_until(is_done: impl Fn() -> bool) {
    const SPINS: u32 = 1000;
    const AWAKE: Duration = Duration::from_millis(2);
    const NAP: Duration = Duration::from_micros(50);
    for _ in 0..SPINS {
        if is_done() {
            return;
        }
        std::hint::spin_loop();
    }
    let start = Instant::now();
    while !is_done() {
        if start.elapsed() < AWAKE {
            std::thread::yield_now();
        } else {
            std::thread::sleep(NAP);
        }
    }
}
