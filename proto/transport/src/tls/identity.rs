//! What a server presents itself by, renewed while it serves: certificates last for weeks or days,
//! and whoever issues them replaces the files.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;

use super::{ServerTls, TlsError, authorities, certificates, private_key};

/// Certificate and key of a server, and the authorities of its clients; clones share them.
///
/// Connections take what is current when they begin, and keep it.
#[derive(Clone)]
pub struct ServerIdentity {
    files: Arc<ServerTls>,
    held: Arc<Mutex<Held>>,
}

struct Held {
    current: Arc<ServerConfig>,
    seen: Vec<Stamp>,
}

/// What tells a file that was replaced or written to; none where there is no file.
type Stamp = Option<(u64, i64, i64, u64)>;

impl ServerTls {
    /// Reads the files; the server then offers HTTP/2 and HTTP/1.1.
    ///
    /// # Errors
    ///
    /// A file that is missing or unfit is named.
    pub fn load(&self) -> Result<ServerIdentity, TlsError> {
        // What is written after this look is found by the next one.
        let seen = self.stamps();
        let current = self.config()?;
        Ok(ServerIdentity {
            files: Arc::new(self.clone()),
            held: Arc::new(Mutex::new(Held { current, seen })),
        })
    }

    /// All that is wrong with the files; empty when they can be used.
    pub fn mistakes(&self) -> Vec<TlsError> {
        let clients = self.client_ca.as_deref().map(authorities);
        let found = [
            certificates(&self.cert).err(),
            private_key(&self.key).err(),
            clients.and_then(Result::err),
        ];
        let found: Vec<_> = found.into_iter().flatten().collect();
        if found.is_empty() {
            return self.config().err().into_iter().collect();
        }
        found
    }

    fn stamps(&self) -> Vec<Stamp> {
        let files = [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()];
        files
            .into_iter()
            .flatten()
            .map(|path| stamp(path))
            .collect()
    }
}

impl ServerIdentity {
    /// Reads the files again if they have changed since they were last looked at, and says whether
    /// that gave a new identity. It blocks for a few small local files.
    ///
    /// # Errors
    ///
    /// A file that is missing or unfit is named, once for each change; what was current stays.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let seen = self.files.stamps();
        if self.held().seen == seen {
            return Ok(false);
        }
        let read = self.files.config();
        let mut held = self.held();
        held.seen = seen;
        held.current = read?;
        Ok(true)
    }

    /// What to present on a new connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.held().current)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerIdentity").field(&self.files).finish()
    }
}

/// Inode, time of its last change and length; links are followed, as Kubernetes swaps a link.
fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.ino(), data.ctime(), data.ctime_nsec(), data.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn testdata(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata")
            .join(name)
    }

    /// Puts another pair in place as an issuer does, by renaming.
    fn put(folder: &Path, certificate: &str, key: &str) {
        for (from, to) in [(certificate, "tls.crt"), (key, "tls.key")] {
            let new = folder.join("new");
            fs::copy(testdata(from), &new).expect("a copy");
            fs::rename(new, folder.join(to)).expect("a rename");
        }
    }

    #[test]
    fn a_new_pair_is_taken_and_a_broken_one_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        put(folder.path(), "server.pem", "server.key");
        let files = ServerTls {
            cert: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
            client_ca: None,
        };
        let identity = files.load().expect("an identity");
        let first = identity.current();
        assert_eq!(identity.renew(), Ok(false));
        put(folder.path(), "client.pem", "server.key");
        assert!(matches!(identity.renew(), Err(TlsError::Refused { .. })));
        assert_eq!(identity.renew(), Ok(false), "it is told once");
        assert!(
            Arc::ptr_eq(&first, &identity.current()),
            "the old one holds"
        );
        put(folder.path(), "client.pem", "client.key");
        assert_eq!(identity.renew(), Ok(true));
        assert!(!Arc::ptr_eq(&first, &identity.current()));
        fs::remove_file(&files.cert).expect("removed");
        assert!(matches!(identity.renew(), Err(TlsError::Pem { .. })));
    }

    #[test]
    fn all_unfit_files_are_named_at_once() {
        let files = ServerTls {
            cert: testdata("none.pem"),
            key: testdata("server.pem"),
            client_ca: Some(testdata("client.key")),
        };
        let named: Vec<_> = files.mistakes().iter().map(TlsError::to_string).collect();
        assert_eq!(named.len(), 3, "{named:?}");
        for (text, name) in named.iter().zip(["none.pem", "server.pem", "client.key"]) {
            assert!(text.contains(name), "{text}");
        }
        let mixed = ServerTls {
            cert: testdata("server.pem"),
            key: testdata("client.key"),
            client_ca: None,
        };
        assert!(matches!(mixed.mistakes()[..], [TlsError::Refused { .. }]));
    }
}
