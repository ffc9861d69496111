//! A recording in memory: its windows in the order in which they came, and whose they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, ensure};
use davy_proto::window::Window;

/// The windows of a recording.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// Each with the index of its pod, in the order in which they came.
    pub(super) windows: Vec<(usize, Window)>,
    /// Names of the pods, in the order of their first windows.
    pub(super) pods: Vec<String>,
    /// The arm each was recorded as.
    arms: Vec<String>,
}

impl Evidence {
    /// Reads a file as `davy-gate serve --record` writes it.
    ///
    /// # Errors
    ///
    /// When it can't be read, has a line that is no window, or none at all.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("open {name}"))?;
        let window = |(number, line): (usize, io::Result<String>)| {
            let line = line.with_context(|| format!("read {name}"))?;
            let window = Window::parse_line(&line);
            window.with_context(|| format!("{name}, line {}", number + 1))
        };
        let windows = BufReader::new(file).lines().enumerate().map(window);
        let evidence = Self::of(windows.collect::<anyhow::Result<Vec<_>>>()?);
        ensure!(!evidence.windows.is_empty(), "{name} has no windows");
        Ok(evidence)
    }

    /// The recording that these windows are.
    pub(super) fn of(windows: Vec<Window>) -> Self {
        let mut evidence = Self::default();
        let mut known = BTreeMap::new();
        for window in windows {
            let next = known.len();
            let pod = *known.entry(window.pod.clone()).or_insert(next);
            if pod == next {
                evidence.pods.push(window.pod.clone());
                evidence.arms.push(window.arm.as_str().to_owned());
            }
            evidence.windows.push((pod, window));
        }
        evidence
    }

    /// Indexes of the pods that were recorded as an arm.
    pub(super) fn of_arm(&self, arm: &str) -> Vec<usize> {
        let pods = self.arms.iter().enumerate();
        pods.filter(|(_, of)| *of == arm)
            .map(|(at, _)| at)
            .collect()
    }
}
