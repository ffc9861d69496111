//! The checks without libFuzzer: on every seed, and on mutations of them, some ten seconds a target.
//! `DAVY_MUTATIONS=20 cargo test -p davy-fuzz` tries twenty times as many.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use davy_fuzz::mutate::{Draw, mutate};
use davy_fuzz::{TARGETS, Target, seeds, target};

/// The mutations are the same in every run. Targets are tests of their own and so run at once, as
/// many as there are cores: on two cores all of them take a minute.
const SEED: u64 = 1;

/// How many times a target's own number of mutations is tried.
fn times() -> usize {
    let given = std::env::var("DAVY_MUTATIONS").ok();
    given.map_or(1, |times| times.parse().expect("DAVY_MUTATIONS: a number"))
}

/// Runs a check; where it fails the input is kept, and said where.
#[track_caller]
fn check(target: &Target, name: &str, bytes: &[u8]) {
    let Err(failure) = catch_unwind(AssertUnwindSafe(|| (target.check)(bytes))) else {
        return;
    };
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-failed", target.name));
    std::fs::write(&kept, bytes).expect("the input is kept");
    eprintln!("{}, {name}: kept as {}", target.name, kept.display());
    resume_unwind(failure);
}

/// Guarantees: what was found once stays mended, and every seed holds.
#[test]
fn every_seed_holds() {
    for target in TARGETS {
        let seeds = seeds::of(target);
        assert!(seeds.len() > 1, "{} has no seeds", target.name);
        for (name, bytes) in seeds {
            check(target, &name, &bytes);
        }
    }
}

/// Guarantees: what is checked holds of inputs that nobody wrote, too.
mod mutated_seeds_hold {
    /// A test a target, and their names.
    macro_rules! targets {
        ($($name:ident)*) => {
            pub(super) const NAMES: &[&str] = &[$(stringify!($name)),*];
            $(
                #[test]
                fn $name() {
                    super::mutations_hold(stringify!($name));
                }
            )*
        };
    }

    targets!(evidence json lines openmetrics payload policy protobuf scrape sketch text window);
}

fn mutations_hold(name: &str) {
    let target = target(name).expect("a target");
    let (seeds, words) = (seeds::of(target), seeds::words(target));
    let mut draw = Draw::new(SEED);
    assert!(target.mutations > 0);
    for tried in 0..target.mutations * times() {
        let [first, second] = [(); 2].map(|()| draw.below(seeds.len()));
        let mut input = seeds[first].1.clone();
        mutate(&mut input, &seeds[second].1, &words, &mut draw);
        check(target, &format!("mutation {tried}"), &input);
    }
}

/// Guarantees: no target is left out of the mutations.
#[test]
fn every_target_is_mutated() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert!(names.is_sorted());
    assert_eq!(names, mutated_seeds_hold::NAMES);
}

/// Guarantees: seeds stay few and small. Findings are as large as they are.
#[test]
fn committed_seeds_are_few_and_small() {
    let folders = std::fs::read_dir(seeds::folder().join("seeds")).expect("the seeds");
    for folder in folders.flatten() {
        let name = folder.file_name().into_string().expect("a name");
        assert!(target(&name).is_some(), "{name} is no target");
        let files = std::fs::read_dir(folder.path()).expect("seeds").flatten();
        let kept = files.filter(|file| !seeds::is_finding(&file.file_name()));
        let sizes: Vec<u64> = kept
            .map(|file| file.metadata().expect("a file").len())
            .collect();
        let (files, bytes) = (sizes.len(), sizes.iter().sum::<u64>());
        assert!(files <= seeds::FILES_MAX, "{name}: {files} seeds");
        assert!(bytes <= seeds::BYTES_MAX, "{name}: {bytes} bytes of seeds");
    }
}
