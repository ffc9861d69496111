//! The releases on disk: `releases/VERSION/shop`, and `current`, a link to the stable one.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A release of the shop, and how its service behaves.
pub(super) struct Release {
    pub(super) version: &'static str,
    pub(super) p99: &'static str,
    pub(super) error_rate: &'static str,
    pub(super) cpu_factor: &'static str,
}

/// Keeps the folder, with logs and recorded evidence, when it is set.
const KEEP: &str = "DAVY_DEMO_KEEP";

/// A folder with everything in it; removed when dropped.
pub(super) struct Site {
    folder: tempfile::TempDir,
    checkout: PathBuf,
    programs: PathBuf,
}

impl Site {
    pub(super) fn lay_out(releases: &[Release]) -> anyhow::Result<Self> {
        let keep = std::env::var_os(KEEP).is_some();
        let mut folder = tempfile::Builder::new();
        let folder = folder
            .prefix("davy-demo-")
            .disable_cleanup(keep)
            .tempdir()?;
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .canonicalize()?;
        let own = std::env::current_exe().context("find this program")?;
        let programs = own
            .parent()
            .context("a program lies in a folder")?
            .to_owned();
        let site = Self {
            folder,
            checkout,
            programs,
        };
        for release in releases {
            site.build("shop", release.version, &site.release(release.version))?;
        }
        site.build("payments", "v1.0.0", &site.root().join("payments"))?;
        if let Some(stable) = releases.first() {
            symlink(Path::new("releases").join(stable.version), site.current())?;
        }
        Ok(site)
    }

    fn build(&self, app: &str, version: &str, folder: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(folder)?;
        let status = Command::new("go")
            .current_dir(self.checkout.join("tests/apps"))
            .env("CGO_ENABLED", "0")
            .args(["build", "-trimpath", "-ldflags"])
            .arg(format!(
                "-s -w -X main.version={version} -X main.commit=demo"
            ))
            .arg("-o")
            .arg(folder.join(app))
            .arg(format!("./{app}"))
            .status()
            .context("run go: is Go installed?")?;
        ensure!(status.success(), "go build {app} {version} failed");
        Ok(())
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn release(&self, version: &str) -> PathBuf {
        self.root().join("releases").join(version)
    }

    pub(super) fn current(&self) -> PathBuf {
        self.root().join("current")
    }

    /// The version that `current` points to.
    pub(super) fn current_version(&self) -> anyhow::Result<String> {
        let target = fs::read_link(self.current()).context("read the link `current`")?;
        let version = target.file_name().context("`current` names a release")?;
        Ok(version.to_string_lossy().into_owned())
    }

    /// One of Davy's own programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A file of the checkout.
    pub(super) fn file(&self, path: &str) -> PathBuf {
        self.checkout.join(path)
    }

    /// What `check-policy` expects for the demo's traffic.
    pub(super) fn expected_times(&self, rate: f64, weight: f64) -> anyhow::Result<String> {
        let output = Command::new(self.program("davy-gate"))
            .arg("check-policy")
            .arg(self.file("deploy/demo/policy.yaml"))
            .args(["--rate", &rate.to_string(), "--weight", &weight.to_string()])
            .args(["--errors", "0.0012"])
            .output()
            .context("run davy-gate check-policy")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "davy-gate check-policy failed:\n{text}{errors}"
        );
        Ok(text.trim_end().to_owned())
    }
}
