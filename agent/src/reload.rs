//! The configuration file, and what to do when it changes.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::{self, File, Loaded};
use crate::running::Running;

/// How often the file is looked at: a mounted ConfigMap takes a minute to arrive anyway.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks a variable up in the environment of the process; what is no UTF-8 is not set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads the file.
///
/// # Errors
///
/// A file that can't be read or is no UTF-8 is named.
pub fn read(path: &Path) -> anyhow::Result<File> {
    let mut text = String::new();
    // One byte more than is parsed, so that a larger one is refused and not cut.
    let bound = davy_config::FILE_BYTES_MAX as u64 + 1;
    let context = || format!("reading {}", path.display());
    let file = std::fs::File::open(path).with_context(context)?;
    file.take(bound)
        .read_to_string(&mut text)
        .with_context(context)?;
    Ok(File {
        path: path.to_owned(),
        text,
    })
}

/// A file that is watched.
#[derive(Debug)]
pub struct Watched {
    file: Option<File>,
}

impl Watched {
    /// Watches a file as it was last read; nothing, when there is none.
    pub fn new(file: Option<File>) -> Self {
        Self { file }
    }

    /// Whether there is a file.
    pub fn has_file(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again and applies what it says, when it changed or `must`. A version with
    /// mistakes changes nothing.
    pub async fn look(&mut self, running: &mut Running, must: bool) {
        let Some(known) = &self.file else {
            if must {
                let loaded = config::load(None, &variable).map_err(|error| error.to_string());
                apply(running, loaded).await;
            }
            return;
        };
        let file = match read(&known.path) {
            Ok(file) => file,
            Err(error) => {
                let error = format!("{error:#}");
                if running.error.as_ref() != Some(&error) {
                    refuse(running, error);
                }
                // When it is back it is read, even if it is as it was.
                self.file = Some(File {
                    path: known.path.clone(),
                    text: String::new(),
                });
                return;
            }
        };
        if file == *known && !must {
            return;
        }
        let loaded = config::load(Some(&file), &variable).map_err(|error| error.to_string());
        self.file = Some(file);
        apply(running, loaded).await;
    }
}

async fn apply(running: &mut Running, loaded: Result<Loaded, String>) {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(mistakes) => return refuse(running, mistakes),
    };
    let version = loaded.version();
    let telemetry = running.intake().telemetry().clone();
    match running.apply(loaded).await {
        Ok(replaced) if replaced.is_empty() => {
            telemetry.config_reload("unchanged");
            tracing::info!(version, "configuration read again, nothing differs");
        }
        Ok(replaced) => {
            telemetry.config_reload("applied");
            tracing::info!(
                version,
                replaced = replaced.join(" "),
                "configuration applied"
            );
        }
        Err(error) => {
            telemetry.config_reload("failed");
            tracing::error!(
                version,
                error = format!("{error:#}"),
                "configuration applied in part"
            );
        }
    }
}

fn refuse(running: &mut Running, error: String) {
    running.intake().telemetry().config_reload("refused");
    tracing::error!(error, "configuration not used, the one before goes on");
    running.refuse(error);
}
