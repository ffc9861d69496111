//! The switch of a plain machine, `deploy/systemd/switch`, as an actuator or a script runs it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

const SWITCHES: usize = 1_000;
const READS: usize = 100_000;

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/switch")
}

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for release in ["v1.0.0", "v1.1.0"] {
        fs::create_dir_all(folder.path().join("releases").join(release)).expect("a release");
    }
    symlink("releases/v1.0.0", folder.path().join("current")).expect("the link");
    folder
}

fn switch(root: &Path, arguments: &[&str]) -> Option<i32> {
    let mut command = Command::new("sh");
    command.arg(script()).arg(root).args(arguments);
    command.output().expect("the script runs").status.code()
}

/// Scenario: the link is switched a thousand times, to and fro, while another reads it.
/// Guarantees: it is never absent, and never anything but one of the two releases.
#[test]
fn the_link_is_never_absent() {
    let site = site();
    let (root, link) = (site.path(), site.path().join("current"));
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = [0_usize; 2];
            while seen.iter().sum::<usize>() < READS || !done.load(Ordering::Relaxed) {
                let target = fs::read_link(&link).expect("the link is there");
                let target = target.to_str().expect("a name");
                let release = ["releases/v1.0.0", "releases/v1.1.0"]
                    .iter()
                    .position(|release| *release == target);
                seen[release.expect("one of the two releases")] += 1;
                // The file system's answer to who opens the path, and not the link.
                assert!(link.join(".").is_dir(), "what it points at is there");
            }
            seen
        });
        for n in 0..SWITCHES {
            let release = if n % 2 == 0 { "v1.1.0" } else { "v1.0.0" };
            assert_eq!(switch(root, &[release]), Some(0), "switch {n}");
            assert_eq!(
                fs::read_link(&link).expect("the link"),
                Path::new("releases").join(release)
            );
            assert!(!reader.is_finished(), "the reader goes on, switch {n}");
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect("the reader")
    });
    assert!(reads.iter().sum::<usize>() >= READS, "{reads:?}");
    assert!(reads.iter().all(|seen| *seen > READS / 100), "{reads:?}");
    let left: Vec<_> = fs::read_dir(root).expect("the root").flatten().collect();
    assert_eq!(left.len(), 3, "nothing is left behind: {left:?}");
}

/// Scenario: what is run after the switch fails; the release is not there; its name is no name.
/// Guarantees: the old link stays, or is put back and the command run once more; exit codes say so.
#[test]
fn a_switch_that_fails_leaves_the_old_release() {
    let site = site();
    let root = site.path();
    let current = || fs::read_link(root.join("current")).expect("the link");
    let ran = root.join("ran");
    let script = format!("echo x >> {}; exit 3", ran.display());
    assert_eq!(switch(root, &["v1.1.0", "sh", "-c", &script]), Some(1));
    assert_eq!(current(), Path::new("releases/v1.0.0"));
    assert_eq!(fs::read_to_string(&ran).expect("it ran"), "x\nx\n");
    for name in ["v2.0.0", "", "..", "a/b", "-f"] {
        assert_eq!(switch(root, &[name]), Some(64), "{name:?}");
    }
    assert_eq!(switch(root, &[]), Some(64));
    assert_eq!(current(), Path::new("releases/v1.0.0"));
}
