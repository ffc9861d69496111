//! Evidence as a file: a JSON line a window, as `replay` reads it.

use std::collections::BTreeMap;
use std::fs::{File, create_dir_all};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use davy_proto::window::Window;

/// Most files open at once; windows of further services are not recorded, and that is said.
const FILES_MAX: usize = 256;

/// Writes windows: into one file, or into a file a service.
#[derive(Debug)]
pub enum Recorder {
    /// All into one file.
    File(BufWriter<File>),
    /// A folder with `NAMESPACE_SERVICE.jsonl` each.
    Folder {
        /// The folder.
        path: PathBuf,
        /// The files open.
        files: BTreeMap<String, BufWriter<File>>,
    },
}

impl Recorder {
    /// Records into a new file.
    ///
    /// # Errors
    ///
    /// When the file can't be made.
    pub fn file(path: &std::path::Path) -> io::Result<Self> {
        Ok(Self::File(BufWriter::new(File::create(path)?)))
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
    /// When the disk is full, or there are too many services.
    pub fn write(&mut self, window: &Window) -> io::Result<()> {
        let line = serde_json::to_string(window).map_err(io::Error::other)?;
        let file = match self {
            Self::File(file) => file,
            Self::Folder { path, files } => {
                let name = file_name(&window.namespace, &window.service);
                if !files.contains_key(&name) {
                    if files.len() >= FILES_MAX {
                        return Err(io::Error::other("too many services to record"));
                    }
                    let file = File::options()
                        .create(true)
                        .append(true)
                        .open(path.join(&name))?;
                    files.insert(name.clone(), BufWriter::new(file));
                }
                match files.get_mut(&name) {
                    Some(file) => file,
                    None => return Ok(()),
                }
            }
        };
        writeln!(file, "{line}")?;
        file.flush()
    }
}

/// A name without anything that means something in a path.
fn file_name(namespace: &str, service: &str) -> String {
    let plain = |text: &str| -> String {
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '-'
            }
        };
        text.chars().map(safe).collect()
    };
    match namespace {
        "" => format!("{}.jsonl", plain(service)),
        namespace => format!("{}_{}.jsonl", plain(namespace), plain(service)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_can_not_leave_the_folder() {
        assert_eq!(file_name("", "../../etc/passwd"), "------etc-passwd.jsonl");
        assert_eq!(file_name("prod", "shop"), "prod_shop.jsonl");
    }
}
