//! An expression written for `regex-lite`, in the few words that mean the same in all dialects.

use std::fmt::Write as _;

use super::syntax::Node;

/// Writes an expression.
pub(super) fn print(node: &Node) -> String {
    let mut out = String::new();
    write(node, &mut out);
    out
}

fn write(node: &Node, out: &mut String) {
    match node {
        Node::Set(ranges) if ranges.is_empty() => out.push_str(r"(?:\b\B)"),
        Node::Set(ranges) => match ranges.as_slice() {
            [(from, to)] if from == to => character(*from, out),
            all => {
                out.push('[');
                for (from, to) in all {
                    character(*from, out);
                    out.push('-');
                    character(*to, out);
                }
                out.push(']');
            }
        },
        Node::Start => out.push_str(r"\A"),
        Node::End => out.push_str(r"\z"),
        Node::LineStart => out.push_str("(?m:^)"),
        Node::LineEnd => out.push_str("(?m:$)"),
        Node::Boundary => out.push_str(r"\b"),
        Node::NoBoundary => out.push_str(r"\B"),
        Node::Group(inner) => {
            out.push('(');
            write(inner, out);
            out.push(')');
        }
        Node::Concat(nodes) => nodes.iter().for_each(|node| match node {
            Node::Alternate(_) => apart(node, out),
            _ => write(node, out),
        }),
        Node::Alternate(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                if index > 0 {
                    out.push('|');
                }
                write(branch, out);
            }
        }
        Node::Repeat(repeat) => {
            match &repeat.node {
                Node::Set(_) | Node::Group(_) => write(&repeat.node, out),
                other => apart(other, out),
            }
            let _ = match (repeat.min, repeat.max) {
                (0, None) => write!(out, "*"),
                (1, None) => write!(out, "+"),
                (0, Some(1)) => write!(out, "?"),
                (min, None) => write!(out, "{{{min},}}"),
                (min, Some(max)) => write!(out, "{{{min},{max}}}"),
            };
            if !repeat.greedy {
                out.push('?');
            }
        }
    }
}

fn apart(node: &Node, out: &mut String) {
    out.push_str("(?:");
    write(node, out);
    out.push(')');
}

fn character(code: u32, out: &mut String) {
    match char::from_u32(code) {
        Some(c) if c.is_ascii_alphanumeric() || c == '_' => out.push(c),
        _ => {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{{{code:x}}}");
        }
    }
}
