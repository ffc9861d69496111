//! The tree that a configuration is read from, each node with its origin.

use std::fmt;
use std::sync::Arc;

/// Where a value comes from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    /// Nowhere: the default holds.
    #[default]
    Default,
    /// An environment variable of that name.
    Environment(String),
    /// A line of a file, counted from 1.
    File {
        /// The file, as it was named.
        file: Arc<str>,
        /// The line, counted from 1.
        line: usize,
    },
    /// A flag of the command line, with its dashes.
    Flag(String),
}

/// A value with its origin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Where it comes from.
    pub origin: Origin,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file, keys without duplicates; the first part is the key.
    Map(Vec<(String, Node)>),
    /// Nothing: an empty value, `null` or `~`. Read as if the key were not there.
    Null,
    /// A text, number or boolean; typed when it is read.
    Scalar(String),
}

impl Origin {
    /// The line of a file; 0 for what has none.
    pub fn line(&self) -> usize {
        match self {
            Self::File { line, .. } => *line,
            _ => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
            Self::File { file, line } => write!(f, "{file}:{line}"),
        }
    }
}

impl Node {
    /// A text.
    pub fn scalar(text: impl Into<String>, origin: Origin) -> Self {
        Self {
            origin,
            value: Value::Scalar(text.into()),
        }
    }

    /// A list.
    pub fn list(items: Vec<Self>, origin: Origin) -> Self {
        Self {
            origin,
            value: Value::List(items),
        }
    }

    /// An empty mapping.
    pub fn map(origin: Origin) -> Self {
        Self {
            origin,
            value: Value::Map(Vec::new()),
        }
    }

    /// The node under that key, when this is a mapping that has it and it is not null.
    pub fn child(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let (_, node) = entries.iter().find(|(name, _)| name == key)?;
        (node.value != Value::Null).then_some(node)
    }

    /// The items under that key, when this is a mapping whose key is a list; else none.
    pub fn items_mut(&mut self, key: &str) -> &mut [Self] {
        let Value::Map(entries) = &mut self.value else {
            return &mut [];
        };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((
                _,
                Self {
                    value: Value::List(items),
                    ..
                },
            )) => items,
            _ => &mut [],
        }
    }

    /// Lays `node` over whatever stands at `path`, making mappings on the way where there is
    /// nothing. Something else than a mapping on the way stays: reading it reports it.
    pub fn put(&mut self, path: &[&str], node: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if self.value == Value::Null {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else {
            return;
        };
        match entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, child)) => child.put(rest, node),
            None => {
                let mut child = Self {
                    origin: node.origin.clone(),
                    value: Value::Null,
                };
                child.put(rest, node);
                entries.push(((*key).to_owned(), child));
            }
        }
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Null => "nothing",
            Value::Scalar(_) => "a single value",
        }
    }
}
