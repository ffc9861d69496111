//! A timer for what waits seconds, time and again.
//!
//! The runtime's own timers go through a wheel of three levels: one that waits 5 s wakes the
//! process twice before it is due, to be put a level down, and once more when it is set. Each wake
//! of a process that has slept costs what its caches have lost meanwhile. A timer of the kernel's
//! (`timerfd_create(2)`) wakes it once.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer that is set anew for each wait.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// None where the process had no descriptor left, or no such timers: the runtime's serve too.
    timer: Option<AsyncFd<OwnedFd>>,
}

impl Alarm {
    /// A timer that is not set yet. To be called within the runtime.
    pub(crate) fn new() -> Self {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, for descriptors that may be closed meanwhile"
        )]
        let timer = timer.and_then(|it| AsyncFd::with_interest(it, Interest::READABLE).ok());
        Self { timer }
    }

    /// Waits so long, by the monotonic clock. Cancel-safe: the next wait sets the timer anew.
    pub(crate) async fn after(&mut self, wait: Duration) {
        if let Some(timer) = &self.timer
            && rings(timer, wait).await.is_ok()
        {
            return;
        }
        tokio::time::sleep(wait).await;
    }
}

async fn rings(timer: &AsyncFd<OwnedFd>, wait: Duration) -> io::Result<()> {
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once(wait))?;
    loop {
        // What is ready may be of a wait that was given up: then there is nothing to read.
        let mut guard = timer.readable().await?;
        let read = guard.try_io(|timer| Ok(rustix::io::read(timer, &mut [0; 8])?));
        if let Ok(read) = read {
            // Once read it is not ready: the next wait need not try.
            guard.clear_ready();
            return read.map(drop);
        }
    }
}

fn once(wait: Duration) -> Itimerspec {
    // Zero would stop the timer.
    let wait = wait.max(Duration::from_nanos(1));
    let value = Timespec::try_from(wait);
    Itimerspec {
        it_interval: Timespec::default(),
        it_value: value.unwrap_or(Timespec {
            tv_sec: i64::MAX,
            tv_nsec: 0,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn it_rings_when_due_and_again_when_set_again() {
        let mut alarm = Alarm::new();
        assert!(alarm.timer.is_some());
        for wait in [SOON, Duration::ZERO, 2 * SOON] {
            let started = Instant::now();
            alarm.after(wait).await;
            assert!(started.elapsed() >= wait, "{wait:?}");
        }
    }

    /// Guarantees: a wait that was given up does not end the next one early, rung or not.
    #[tokio::test]
    async fn a_wait_that_was_given_up_leaves_nothing() {
        let mut alarm = Alarm::new();
        for given_up in [SOON, Duration::from_nanos(1)] {
            tokio::select! {
                biased;
                () = async {
                    tokio::task::yield_now().await;
                    std::thread::sleep(SOON / 2);
                } => {}
                () = alarm.after(given_up) => {}
            }
            tokio::task::yield_now().await;
            let started = Instant::now();
            alarm.after(3 * SOON).await;
            assert!(started.elapsed() >= 3 * SOON, "{given_up:?}");
        }
    }

    #[tokio::test]
    async fn without_a_timer_of_its_own_it_waits_all_the_same() {
        let mut alarm = Alarm { timer: None };
        let started = Instant::now();
        alarm.after(SOON).await;
        assert!(started.elapsed() >= SOON);
    }
}
