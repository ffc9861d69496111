//! The judge's state, to be kept and gone on from.
//!
//! Saving after any cell and restoring goes on bit for bit. What follows from the configuration is
//! not saved, so a judge must be restored with the one it was made with; a state of another version
//! or shape is refused, never guessed at. All numbers are finite, and JSON keeps their bits when
//! its reader rounds correctly (serde_json: `float_roundtrip`).

use serde::{Deserialize, Deserializer, Serialize};

use super::{Judge, JudgeConfig, Progress, cpu, errors, frame::Places, latency, limits};

/// Version of the saved state; it changes with every change of shape or meaning.
pub const VERSION: u32 = 4;

/// The saved state of a judge.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    version: Version,
    progress: Progress,
    places: Places,
    latency: Option<latency::Saved>,
    errors: Option<errors::Saved>,
    cpu: Option<cpu::Saved>,
    limits: Vec<limits::Saved>,
}

/// Why a state can't be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It was saved by a judge of another configuration.
    #[error("the saved judge has other objectives, limits or routes than the configuration")]
    OtherConfiguration,
}

/// The first field: it refuses what the others would misread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Version(u32);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let version = u32::deserialize(from)?;
        if version == VERSION {
            return Ok(Self(version));
        }
        Err(serde::de::Error::custom(format_args!(
            "the saved judge is of version {version}, this one goes on from version {VERSION} only"
        )))
    }
}

impl Judge {
    /// Its state, to be kept.
    pub fn save(&self) -> Saved {
        Saved {
            version: Version(VERSION),
            progress: self.progress.clone(),
            places: self.places.clone(),
            latency: self.latency.as_ref().map(|latency| latency.save()),
            errors: self.errors.as_ref().map(|errors| errors.save()),
            cpu: self.cpu.as_ref().map(|cpu| cpu.save()),
            limits: self.limits.iter().map(limits::Watched::save).collect(),
        }
    }

    /// Goes on from a saved state, with the configuration that its judge was made with.
    ///
    /// # Errors
    /// When the state does not fit the configuration. One that differs in its numbers only is not
    /// told apart: a changed limit is a new judge.
    pub fn restore(config: JudgeConfig, saved: Saved) -> Result<Self, RestoreError> {
        let mut judge = Self::new(config);
        judge.places = saved.places;
        let routes = judge.places.routes().len();
        judge.latency.iter_mut().for_each(|l| l.add_routes(routes));
        if let Some(begun) = saved.progress.begun {
            judge.fix(begun);
        }
        judge.progress = saved.progress;
        let mut fits = fit(&mut judge.latency, saved.latency, |l, saved| {
            l.restore(saved)
        });
        fits &= fit(&mut judge.errors, saved.errors, |e, saved| e.restore(saved));
        fits &= fit(&mut judge.cpu, saved.cpu, |c, saved| c.restore(saved));
        fits &= judge.limits.len() == saved.limits.len();
        for (limit, saved) in judge.limits.iter_mut().zip(saved.limits) {
            fits &= limit.restore(saved);
        }
        if !fits {
            return Err(RestoreError::OtherConfiguration);
        }
        judge.refresh();
        Ok(judge)
    }
}

fn fit<T, S>(now: &mut Option<T>, saved: Option<S>, restore: impl Fn(&mut T, S) -> bool) -> bool {
    match (now, saved) {
        (Some(now), Some(saved)) => restore(now, saved),
        (None, None) => true,
        _ => false,
    }
}
