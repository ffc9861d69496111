//! Evidence as a file: a JSON line a window, as `replay` reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, create_dir_all};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use davy_proto::window::Window;

/// Most files open at once; windows of further services are not recorded, and that is said.
const FILES_MAX: usize = 256;
/// Longest name of a file that file systems take, less its extension.
const NAME_MAX: usize = 240;

/// Writes windows: into one file, or into a file a service.
#[derive(Debug)]
pub enum Recorder {
    /// All into one file.
    File(Lines),
    /// A folder with `NAMESPACE_SERVICE.jsonl` each.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The files open.
        files: BTreeMap<String, Lines>,
    },
}

/// A file of whole lines.
#[derive(Debug)]
pub struct Lines {
    file: File,
    /// Its length in bytes.
    length: u64,
}

impl Recorder {
    /// Records into a new file.
    ///
    /// # Errors
    ///
    /// When the file can't be made.
    pub fn file(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self::File(Lines { file, length: 0 }))
    }

    /// Records into files of a folder, which is made when it is not there.
    ///
    /// # Errors
    ///
    /// When the folder can't be made.
    pub fn folder(path: PathBuf) -> io::Result<Self> {
        create_dir_all(&path)?;
        Ok(Self::Folder {
            path,
            files: BTreeMap::new(),
        })
    }

    /// Writes a window.
    ///
    /// # Errors
    ///
    /// When the disk is full, or there are too many services. The file has whole lines then, too.
    pub fn write(&mut self, window: &Window) -> io::Result<()> {
        let mut line = serde_json::to_vec(window).map_err(io::Error::other)?;
        line.push(b'\n');
        match self {
            Self::File(lines) => lines.write(&line),
            Self::Folder { path, files } => {
                let name = file_name(&window.namespace, &window.service);
                if !files.contains_key(&name) {
                    if files.len() >= FILES_MAX {
                        return Err(io::Error::other("too many services to record"));
                    }
                    files.insert(name.clone(), Lines::append(&path.join(&name))?);
                }
                files
                    .get_mut(&name)
                    .map_or(Ok(()), |lines| lines.write(&line))
            }
        }
    }
}

impl Lines {
    fn append(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(line);
        match &written {
            Ok(()) => self.length += line.len() as u64,
            // A part of a line would make the whole file unreadable.
            Err(_) => self.file.set_len(self.length)?,
        }
        written
    }
}

/// A name without anything that means something in a path, another one for each service.
fn file_name(namespace: &str, service: &str) -> String {
    let plain = |text: &str| {
        let mut name = String::new();
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' {
                name.push(char::from(byte));
            } else {
                // Writing to a String can't fail.
                let _ = write!(name, "%{byte:02x}");
            }
        }
        name
    };
    let mut name = match namespace {
        "" => plain(service),
        namespace => format!("{}_{}", plain(namespace), plain(service)),
    };
    if name.len() > NAME_MAX {
        let sum = sum(&name);
        name.truncate(NAME_MAX - 9);
        let _ = write!(name, "-{sum:08x}");
    }
    name + ".jsonl"
}

/// FNV-1a of 32 bits, to tell long names apart.
/// Source: Fowler, Noll, Vo; <http://www.isthe.com/chongo/tech/comp/fnv/>.
fn sum(text: &str) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    text.bytes().fold(0x811c_9dc5, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_can_not_leave_the_folder() {
        let name = file_name("", "../etc/passwd");
        assert_eq!(name, "%2e%2e%2fetc%2fpasswd.jsonl");
        assert_eq!(file_name("prod", "shop"), "prod_shop.jsonl");
    }

    #[test]
    fn two_services_never_share_a_file() {
        assert_ne!(file_name("a_b", "c"), file_name("a", "b_c"));
        assert_ne!(file_name("", "a_b"), file_name("a", "b"));
        assert_ne!(file_name("", "shop.v1"), file_name("", "shop-v1"));
        let long = |end: &str| file_name(&"n".repeat(256), &format!("{}{end}", "s".repeat(250)));
        assert_ne!(long("1"), long("2"));
        assert!(long("1").len() <= 255);
    }
}
