//! YAML text to a tree of nodes.
//!
//! What makes configuration hard to read or lets a small file become a large tree is refused with
//! its line: anchors and aliases, tags, several documents, keys that stand twice. Size, depth and
//! number of nodes are bounded.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use crate::expand::{Environment, expand};
use crate::{Mistake, Mistakes, Node, Origin, Value};

/// Largest text that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting.
pub const DEPTH_MAX: usize = 32;
/// Longest key, in bytes: paths in messages grow with it.
const KEY_BYTES_MAX: usize = 256;
/// Most values in a text.
pub const NODES_MAX: usize = 100_000;

/// A text that was parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// The tree; an empty mapping for an empty text.
    pub root: Node,
    /// Worth saying, but no mistake: variables that are not set.
    pub warnings: Vec<Mistake>,
}

/// Parses a YAML text, named `file` in messages, and expands `${env:NAME}` in its values.
///
/// # Errors
///
/// [`Mistakes`] with each refused construct, or with the place where the text is no YAML.
pub fn parse(file: &str, text: &str, environment: &Environment<'_>) -> Result<Document, Mistakes> {
    let mut builder = Builder {
        file: file.into(),
        lines: lines(text),
        parser: Parser::new_from_str(text),
        environment,
        mistakes: Vec::new(),
        warnings: Vec::new(),
        nodes: 0,
    };
    let root = if text.len() > FILE_BYTES_MAX {
        builder.mistake(
            1,
            "",
            format!("the file is larger than {FILE_BYTES_MAX} bytes"),
        );
        Node::map(Origin::Default)
    } else {
        builder.document()
    };
    match Mistakes::of(builder.mistakes) {
        Some(mistakes) => Err(mistakes),
        None => Ok(Document {
            root,
            warnings: builder.warnings,
        }),
    }
}

struct Builder<'a> {
    file: Arc<str>,
    /// How many lines the text has; at its end the parser counts one more.
    lines: usize,
    parser: Parser<'a, StrInput<'a>>,
    environment: &'a Environment<'a>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    nodes: usize,
}

/// The parser cannot go on; the reason is among the mistakes.
struct Stop;

impl<'a> Builder<'a> {
    fn document(&mut self) -> Node {
        let mut root = Node::map(self.at(1));
        let mut documents = 0;
        loop {
            let Ok((event, line)) = self.next() else {
                return root;
            };
            match event {
                Event::StreamEnd => return root,
                Event::DocumentStart(_) => documents += 1,
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                _ if documents > 1 => {
                    self.mistake(
                        line,
                        "",
                        "a second document is not read; remove it".to_owned(),
                    );
                    return root;
                }
                event => match self.node(event, line, "", 0) {
                    Ok(Node {
                        value: Value::Null, ..
                    }) => {}
                    Ok(node) => root = node,
                    Err(Stop) => return root,
                },
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, usize), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start.line())),
            Some(Err(error)) => {
                self.mistake(
                    error.marker().line(),
                    "",
                    format!("not YAML: {}", error.info()),
                );
                Err(Stop)
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(
        &mut self,
        event: Event<'a>,
        line: usize,
        path: &str,
        depth: usize,
    ) -> Result<Node, Stop> {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            let limit = format!("more than {DEPTH_MAX} levels or {NODES_MAX} values");
            self.mistake(line, path, limit);
            return Err(Stop);
        }
        let (anchor, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor > 0 {
            self.mistake(line, path, "anchors are not supported".to_owned());
        }
        if tagged {
            self.mistake(line, path, "tags are not supported".to_owned());
        }
        let value = match event {
            Event::Scalar(text, style, ..) => self.scalar(&text, style, line, path),
            Event::SequenceStart(..) => self.list(path, depth)?,
            Event::MappingStart(..) => self.map(path, depth)?,
            Event::Alias(_) => {
                self.mistake(line, path, "aliases are not supported".to_owned());
                Value::Null
            }
            _ => Value::Null,
        };
        Ok(Node {
            origin: self.at(line),
            value,
        })
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, line: usize, path: &str) -> Value {
        let plain = style == ScalarStyle::Plain;
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Value::Null;
        }
        match expand(text, self.environment) {
            Ok(expanded) => {
                for name in &expanded.unset {
                    let message = format!("environment variable {name} is not set: taken as empty");
                    let origin = self.at(line);
                    self.warnings.push(Mistake {
                        origin,
                        path: path.to_owned(),
                        message,
                    });
                }
                let absent = plain && expanded.text.is_empty();
                if absent {
                    Value::Null
                } else {
                    Value::Scalar(expanded.text)
                }
            }
            Err(message) => {
                self.mistake(line, path, message);
                Value::Null
            }
        }
    }

    fn list(&mut self, path: &str, depth: usize) -> Result<Value, Stop> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::List(items)),
                (event, line) => {
                    let path = format!("{path}[{}]", items.len());
                    items.push(self.node(event, line, &path, depth + 1)?);
                }
            }
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Result<Value, Stop> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(key, ..), line) => (key.into_owned(), line),
                (event, line) => {
                    self.mistake(line, path, "a key must be a word".to_owned());
                    self.node(event, line, path, depth + 1)?;
                    (String::new(), line)
                }
            };
            let (mut key, line) = key;
            if key.len() > KEY_BYTES_MAX {
                self.mistake(
                    line,
                    path,
                    format!("a key is longer than {KEY_BYTES_MAX} bytes"),
                );
                key = String::new();
            }
            let path = join(path, &key);
            let (event, _) = self.next()?;
            // The line of a value is that of its key: that is where one looks for it.
            let node = self.node(event, line, &path, depth + 1)?;
            match entries.iter().find(|(name, _)| *name == key) {
                Some((_, first)) => {
                    let message = format!("stands twice, first in line {}", first.origin.line());
                    self.mistake(line, &path, message);
                }
                None => entries.push((key, node)),
            }
        }
    }

    fn at(&self, line: usize) -> Origin {
        Origin::File {
            file: Arc::clone(&self.file),
            line: line.min(self.lines),
        }
    }

    fn mistake(&mut self, line: usize, path: &str, message: String) {
        let origin = self.at(line);
        self.mistakes.push(Mistake {
            origin,
            path: path.to_owned(),
            message,
        });
    }
}

/// Lines of a text, at least one. A line ends in a line feed, a carriage return, or both (YAML 1.2,
/// section 5.4).
fn lines(text: &str) -> usize {
    let breaks = text.matches(['\n', '\r']).count() - text.matches("\r\n").count();
    let unended = !text.ends_with(['\n', '\r']);
    (breaks + usize::from(unended)).max(1)
}

/// The path of a key below `path`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
