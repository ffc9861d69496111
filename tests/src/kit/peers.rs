//! Programs that are not ours: built or installed once, into a cache outside the tree.
//!
//! The cache is `DAVY_CACHE`, else `~/.cache/davy`. What is in it is named after what it was made
//! from, so a changed source or version makes a new one. A lock on the cache lets several test
//! processes ask at once. Network is needed only for what is not there yet.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Module and version of Prometheus 3.16.
const PROMETHEUS: &str = "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0";
/// Module and version of vmagent.
const VMAGENT: &str = "github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@v1.151.0";
/// What builds a Collector; its version is that of the parts in `peers/collector/*.yaml`.
const COLLECTOR_BUILDER: &str = "go.opentelemetry.io/collector/cmd/builder@v0.165.0";
/// Python's OpenTelemetry: the SDK, its exporters for gRPC and HTTP, and with them OTLP's messages.
const PYTHON_OTLP: &[&str] = &[
    "opentelemetry-sdk==1.45.2",
    "opentelemetry-exporter-otlp==1.45.2",
];

/// Where programs are kept.
///
/// # Errors
///
/// When there is neither `DAVY_CACHE` nor `HOME`, or the folder can't be made.
pub fn cache() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("DAVY_CACHE").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/davy"));
    let cache = named
        .or_else(home)
        .context("neither DAVY_CACHE nor HOME is set")?;
    fs::create_dir_all(cache.join("bin")).with_context(|| format!("make {}", cache.display()))?;
    Ok(cache)
}

/// The folder of the tests' peers in the tree.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// The example services' module in the tree.
pub fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("apps")
}

/// The shop of `tests/apps`, as release v1.0.0.
///
/// # Errors
///
/// When Go fails; its output is in the error.
pub fn shop() -> anyhow::Result<PathBuf> {
    let ldflags = "-s -w -X main.version=v1.0.0 -X main.commit=4f1c2d9";
    go_build("shop", &apps(), "./shop", ldflags)
}

/// Builds the Go program whose module is the folder `source`, and returns its binary.
///
/// # Errors
///
/// When the folder can't be read or Go fails; its output is in the error.
pub fn go_program(name: &str, source: &Path) -> anyhow::Result<PathBuf> {
    go_build(name, source, ".", "-s -w")
}

fn go_build(name: &str, module: &Path, package: &str, ldflags: &str) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    let binary = cache
        .join("bin")
        .join(format!("{name}-{:016x}", fingerprint(module)?));
    once(&cache, &binary, || {
        let partial = binary.with_extension("partial");
        let mut build = Command::new("go");
        build
            .args(["build", "-trimpath", "-ldflags", ldflags, "-o"])
            .arg(&partial)
            .arg(package);
        run(build.current_dir(module).env("CGO_ENABLED", "0"))?;
        fs::rename(&partial, &binary).context("keep the binary")
    })?;
    Ok(binary)
}

/// A Collector that is less than the whole one: what it can do is a manifest in `peers/collector`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    /// Takes OTLP and passes it on as OTLP: what the tests need, in a fifth of the time to build.
    Relay,
    /// Scrapes and tails too: what stands beside the agent.
    Sidecar,
}

impl Collector {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::Sidecar => "sidecar",
        }
    }
}

/// The OpenTelemetry Collector, made by its own builder of the parts that `collector` names.
///
/// # Errors
///
/// When Go fails; its output is in the error.
pub fn collector(collector: Collector) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    let manifest = sources().join("collector").join(collector.name());
    let made = format!("otelcol-{}", collector.name());
    let binary = cache
        .join("bin")
        .join(format!("{made}-{:016x}", fingerprint(&manifest)?));
    once(&cache, &binary, || {
        let mut build = Command::new("go");
        build
            .args(["run", COLLECTOR_BUILDER, "--config"])
            .arg(manifest.join("builder.yaml"));
        run(build.current_dir(&cache).env("CGO_ENABLED", "0"))?;
        fs::rename(cache.join(&made).join(&made), &binary).context("keep the binary")
    })?;
    Ok(binary)
}

/// Installs the Go command `package` (a path with `@version`) with build tags, and returns its
/// binary, called after the last segment of its path.
///
/// # Errors
///
/// When Go fails; its output is in the error.
pub fn go_install(package: &str, tags: &str) -> anyhow::Result<PathBuf> {
    install(package, tags, false)
}

fn install(package: &str, tags: &str, cgo: bool) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    let path = package.split('@').next().unwrap_or(package);
    let name = path.rsplit('/').next().unwrap_or(path);
    let binary = cache.join("bin").join(name);
    once(&cache, &binary, || {
        let mut install = Command::new("go");
        install.args([
            "install",
            "-trimpath",
            "-ldflags=-s -w",
            "-tags",
            tags,
            package,
        ]);
        run(install
            .env("GOBIN", cache.join("bin"))
            .env("CGO_ENABLED", if cgo { "1" } else { "0" }))
    })?;
    Ok(binary)
}

/// Prometheus 3.16, without its service discoveries: minutes of building less.
///
/// # Errors
///
/// When Go fails; its output is in the error.
pub fn prometheus() -> anyhow::Result<PathBuf> {
    go_install(PROMETHEUS, "remove_all_sd")
}

/// vmagent 1.151, with C's zstd as its own releases have it; needs a C compiler.
///
/// # Errors
///
/// When Go fails; its output is in the error.
pub fn vmagent() -> anyhow::Result<PathBuf> {
    install(VMAGENT, "", true)
}

/// A Python with OpenTelemetry's SDK, exporters and OTLP messages.
///
/// # Errors
///
/// When Python or pip fails; its output is in the error.
pub fn python_otlp() -> anyhow::Result<PathBuf> {
    python(PYTHON_OTLP)
}

/// A Python with these packages (`name==version`), and returns its interpreter.
///
/// # Errors
///
/// When Python or pip fails; its output is in the error.
pub fn python(packages: &[&str]) -> anyhow::Result<PathBuf> {
    let cache = cache()?;
    let mut hasher = DefaultHasher::new();
    packages.hash(&mut hasher);
    let venv = cache.join(format!("venv-{:016x}", hasher.finish()));
    let interpreter = venv.join("bin/python");
    // The environment is not moved once made, for its scripts name its path; the mark comes last.
    let mark = venv.join("complete");
    once(&cache, &mark, || {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&venv))?;
        let mut install = Command::new(&interpreter);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        run(install.args(packages))?;
        fs::write(&mark, packages.join("\n")).context("mark the environment complete")
    })?;
    Ok(interpreter)
}

/// Makes `target` unless it is there, one process at a time.
fn once(
    cache: &Path,
    target: &Path,
    make: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if target.exists() {
        return Ok(());
    }
    let lock = File::create(cache.join("lock")).context("open the cache's lock")?;
    lock.lock().context("lock the cache")?;
    if target.exists() {
        return Ok(());
    }
    make().with_context(|| format!("make {}", target.display()))
}

/// Hash of the names and contents of the files of a folder and its folders.
fn fingerprint(folder: &Path) -> anyhow::Result<u64> {
    let mut files = Vec::new();
    files_below(folder, &mut files).with_context(|| format!("read {}", folder.display()))?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        name.as_os_str().hash(&mut hasher);
        fs::read(&path)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            files.push(path);
        } else if path.file_name() != Some(OsStr::new("bin")) {
            files_below(&path, files)?;
        }
    }
    Ok(())
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("{command:?}: {}\n{said}", output.status)
}
