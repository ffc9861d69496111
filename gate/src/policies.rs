//! The policies that the gate judges by: read from files at start, one a service or a default.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use davy_gate_core::policy::Policy;
use sha2::{Digest, Sha256};

/// All policies, each with its identity.
#[derive(Debug)]
pub struct Policies {
    policies: Vec<Policy>,
    standard: Policy,
}

impl Policies {
    /// The standard policy for every service.
    pub fn standard() -> Self {
        Self {
            policies: Vec::new(),
            standard: Policy::standard(),
        }
    }

    /// One policy for every service it fits.
    pub fn one(policy: Policy) -> Self {
        Self {
            policies: vec![policy],
            standard: Policy::standard(),
        }
    }

    /// Reads the files that `patterns` name; `*` stands for any part of a file's name.
    ///
    /// # Errors
    ///
    /// When a file can't be read, with all mistakes of all files, and when two files are for the
    /// same service.
    pub fn read(patterns: &[String]) -> anyhow::Result<Self> {
        let mut policies: Vec<Policy> = Vec::new();
        let mut mistakes = Vec::new();
        for path in patterns
            .iter()
            .map(|p| files(p))
            .collect::<anyhow::Result<Vec<_>>>()?
            .concat()
        {
            let name = path.display().to_string();
            let text = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
            match Policy::read(&name, &text) {
                Ok(policy) if policies.iter().any(|known| known.service == policy.service) => {
                    let service = policy.service.as_deref().unwrap_or("every service");
                    mistakes.push(format!("{name}: another policy is for {service} already"));
                }
                Ok(policy) => policies.push(policy),
                Err(found) => mistakes.push(found.to_string()),
            }
        }
        anyhow::ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
        Ok(Self {
            policies,
            standard: Policy::standard(),
        })
    }

    /// The policy of a service, and its identity.
    pub fn of(&self, service: &str) -> (&Policy, String) {
        let policy = Policy::for_service(&self.policies, service).unwrap_or(&self.standard);
        (policy, identity(policy))
    }

    /// How many files were read.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is none, so that the standard one holds for all.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }
}

/// `sha256:` and the first half of the hash of what a policy says, whatever its layout.
pub fn identity(policy: &Policy) -> String {
    let hash = Sha256::digest(policy.identity().as_bytes());
    let hex: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// The files that a pattern names, by name.
fn files(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        anyhow::bail!("{pattern} names no file");
    };
    let name = name.to_string_lossy();
    if !name.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    let named = |entry: &fs::DirEntry| matches(&name, &entry.file_name().to_string_lossy());
    let mut found: Vec<_> = entries
        .flatten()
        .filter(named)
        .map(|entry| entry.path())
        .collect();
    found.sort();
    Ok(found)
}

/// Whether `name` is of the form `pattern`, in which `*` stands for any characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(head) else {
        return false;
    };
    (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files() {
        let check = |pattern, name, expected| assert_eq!(matches(pattern, name), expected);
        check("*.yaml", "shop.yaml", true);
        check("*.yaml", "shop.yml", false);
        check("shop-*-v*.yaml", "shop-a-v1.yaml", true);
        check("shop.yaml", "shop.yaml", true);
    }

    #[test]
    fn mistakes_of_all_files_are_said_together() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("a.yaml", "version: 2\n"),
            ("b.yaml", "version: 1\nmod: x\n"),
        ] {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let pattern = folder.path().join("*.yaml").display().to_string();
        let error = Policies::read(&[pattern])
            .expect_err("mistakes")
            .to_string();
        assert!(error.contains("a.yaml:1: version"), "{error}");
        assert!(
            error.contains("b.yaml:2: mod: unknown key; did you mean mode?"),
            "{error}"
        );
    }
}
