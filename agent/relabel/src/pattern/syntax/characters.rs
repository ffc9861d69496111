//! What stands for characters: escapes and classes.

use super::super::class::Set;
use super::super::error::PatternError;
use super::{Node, Parser};

impl<'p> Parser<'p> {
    /// Reads what follows a backslash outside of classes.
    pub(super) fn escape(
        &mut self,
        nodes: &mut Vec<Node>,
        from: &'p str,
    ) -> Result<(), PatternError> {
        for (letter, node) in [
            ("A", Node::Start),
            ("B", Node::NoBoundary),
            ("b", Node::Boundary),
            ("z", Node::End),
        ] {
            if self.eat(letter) {
                nodes.push(node);
                return Ok(());
            }
        }
        if self.eat("Q") {
            let (quoted, rest) = self
                .rest
                .split_once("\\E")
                .ok_or(PatternError::UnclosedQuote)?;
            self.rest = rest;
            for c in quoted.chars() {
                nodes.push(self.literal(c)?);
            }
            return Ok(());
        }
        if let Some(set) = self.perl_class(from)? {
            nodes.push(Node::Set(set.finish()));
            return Ok(());
        }
        let code = self.escaped(from)?;
        let mut set = Set::default();
        set.add(code, code);
        nodes.push(self.set(set)?);
        Ok(())
    }

    /// Reads `d` and the like behind a backslash; a class of Unicode is refused.
    fn perl_class(&mut self, from: &'p str) -> Result<Option<Set>, PatternError> {
        if self.rest.starts_with(['p', 'P']) {
            self.next();
            if self.next() == Some('{') {
                let end = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
                self.rest = self.rest.get(end..).unwrap_or_default();
            }
            return Err(PatternError::Unicode(self.since(from)));
        }
        for name in ["d", "s", "w"] {
            if self.eat(name) {
                return self.named(name, false);
            }
            if self.eat(&name.to_ascii_uppercase()) {
                return self.named(name, true);
            }
        }
        Ok(None)
    }

    /// Returns a class, folded before it is negated.
    fn named(&self, name: &str, negated: bool) -> Result<Option<Set>, PatternError> {
        let Some(mut set) = Set::named(name) else {
            return Ok(None);
        };
        self.fold(&mut set)?;
        Ok(Some(if negated { set.negate() } else { set }))
    }

    /// Reads one character behind a backslash.
    fn escaped(&mut self, from: &'p str) -> Result<u32, PatternError> {
        let octal = |c: Option<char>| c.and_then(|c| c.to_digit(8));
        let hex = |c: Option<char>| c.and_then(|c| c.to_digit(16));
        let c = self.next();
        let code = match c {
            Some('0'..='7') => {
                let mut code = octal(c).unwrap_or(0);
                let mut more = 0;
                while more < 2
                    && let Some(digit) = octal(self.rest.chars().next())
                {
                    self.next();
                    code = code * 8 + digit;
                    more += 1;
                }
                // A single digit would name a group.
                (c == Some('0') || more > 0).then_some(code)
            }
            Some('x') if self.eat("{") => {
                let digits = self.rest.split_once('}').filter(|(digits, _)| {
                    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
                });
                digits.and_then(|(digits, rest)| {
                    self.rest = rest;
                    let digits = digits.trim_start_matches('0');
                    let code = match digits.is_empty() {
                        true => 0,
                        false => u32::from_str_radix(digits, 16).ok()?,
                    };
                    (code <= 0x10_ffff).then_some(code)
                })
            }
            Some('x') => {
                let (high, low) = (hex(self.next()), hex(self.next()));
                high.zip(low).map(|(high, low)| high * 16 + low)
            }
            Some('a') => Some(0x07),
            Some('f') => Some(0x0c),
            Some('n') => Some(0x0a),
            Some('r') => Some(0x0d),
            Some('t') => Some(0x09),
            Some('v') => Some(0x0b),
            Some(c) if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        code.ok_or_else(|| PatternError::Escape(self.since(from)))
    }

    /// Reads a class; its bracket is read.
    pub(super) fn class(&mut self) -> Result<Node, PatternError> {
        let negated = self.eat("^");
        let mut set = Set::default();
        let mut is_first = true;
        while is_first || !self.rest.starts_with(']') {
            is_first = false;
            let from = self.rest;
            if let Some(named) = self.posix_class()? {
                set.add_all(&named);
                continue;
            }
            if self.rest.starts_with('\\') {
                self.next();
                if let Some(named) = self.perl_class(from)? {
                    set.add_all(&named);
                    continue;
                }
                self.rest = from;
            }
            let low = self.class_character()?;
            let mut high = low;
            // `[a-]` is an a or a minus.
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.next();
                high = self.class_character()?;
                if high < low {
                    return Err(PatternError::Range(self.since(from)));
                }
            }
            let mut range = Set::default();
            range.add(low, high);
            self.fold(&mut range)?;
            set.add_all(&range);
        }
        self.next();
        let set = if negated { set.negate() } else { set };
        Ok(Node::Set(set.finish()))
    }

    fn class_character(&mut self) -> Result<u32, PatternError> {
        let from = self.rest;
        match self.next() {
            Some('\\') => self.escaped(from),
            Some(c) => Ok(u32::from(c)),
            None => Err(PatternError::UnclosedBracket),
        }
    }

    /// Reads `[:alpha:]` within a class; without its end it is no such thing.
    fn posix_class(&mut self) -> Result<Option<Set>, PatternError> {
        let from = self.rest;
        let Some(inner) = from.strip_prefix("[:") else {
            return Ok(None);
        };
        let Some((name, rest)) = inner.split_once(":]") else {
            return Ok(None);
        };
        self.rest = rest;
        let bare = name.strip_prefix('^');
        let word = bare.unwrap_or(name);
        // `d`, `s` and `w` are no POSIX names.
        let found = match word.len() > 1 {
            true => self.named(word, bare.is_some())?,
            false => None,
        };
        match found {
            Some(set) => Ok(Some(set)),
            None => Err(PatternError::Class(self.since(from))),
        }
    }
}
