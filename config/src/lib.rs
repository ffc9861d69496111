//! How configuration is read: YAML with places, environment, all mistakes at once.
//!
//! A text becomes a tree of [`Node`]s, each with its [`Origin`] ([`parse`]). Environment variables
//! and flags are laid over the tree ([`Node::put`]), so that one reading serves all sources and
//! the last layer wins. [`Reader`]s take typed values out of the tree; what is wrong is collected
//! by a [`Collector`] and reported together, each [`Mistake`] with its line and key:
//!
//! ```
//! use davy_config::{Collector, parse};
//!
//! let document = parse("davy.yaml", "version: 1\nspool: {max_byte: 4MiB}\n", &|_| None)?;
//! let collector = Collector::default();
//! let mut top = collector.reader(&document.root);
//! top.version(1);
//! let mut spool = top.nested("spool");
//! let max_bytes = spool.size("max_bytes", 0..=1 << 40, 1 << 20);
//! spool.finish();
//! top.finish();
//! let mistakes = collector.finish(max_bytes).unwrap_err();
//! assert_eq!(
//!     mistakes.to_string(),
//!     "davy.yaml:2: spool.max_byte: unknown key; did you mean max_bytes?"
//! );
//! # Ok::<(), davy_config::Mistakes>(())
//! ```

mod collector;
mod expand;
mod mistake;
mod nearest;
mod node;
mod parse;
mod reader;

pub use collector::{Collector, Setting};
pub use expand::Environment;
pub use mistake::{Mistake, Mistakes};
pub use node::{Node, Origin, Value};
pub use parse::{DEPTH_MAX, Document, FILE_BYTES_MAX, NODES_MAX, parse};
pub use reader::Reader;
