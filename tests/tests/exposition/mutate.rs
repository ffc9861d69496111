//! Pages that went wrong, and what is asked of their readers.

use davy_agent_core::exposition::{Format, Options, Reason, parse};

use super::compare::{Scope, differences, missing};
use super::draw::Draw;
use super::oracle::Answer;
use super::series::Said;
use super::{format_of, lenient, parsers};

/// What is put into pages.
const TOKENS: &[&str] = &[
    " ",
    "  ",
    "\t",
    "\r",
    "\n",
    "\n\n",
    "{",
    "}",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    ",",
    "=",
    "#",
    "# ",
    "# EOF\n",
    "# TYPE a counter\n",
    "# HELP a b\n",
    "# UNIT a b\n",
    "a 1\n",
    "a{b=\"c\"} 2\n",
    "{\"a\"} 1\n",
    "1",
    "-",
    "+",
    ".",
    "e5",
    "NaN",
    "+Inf",
    "0x1p4",
    "1_0",
    "_",
    ":",
    "é",
    "le=\"1\",",
    "quantile=\"0.5\",",
    " # {} 1",
    " 1600000000000",
    " 1.5",
    "_total",
    "_created",
    "_bucket",
    "_sum",
];

/// Changes a page in one to three places.
pub(super) fn page(draw: &mut Draw, page: &mut Vec<u8>) {
    for _ in 0..1 + draw.below(3) {
        mutate(draw, page);
    }
}

fn mutate(draw: &mut Draw, page: &mut Vec<u8>) {
    let at = draw.below(page.len() + 1);
    match draw.below(8) {
        0 => page.truncate(at),
        1 => {
            let end = (at + 1 + draw.below(12)).min(page.len());
            page.drain(at.min(end)..end);
        }
        // Not NUL, of which textparse makes an end, a gap or an error: the tables have it.
        2 if at < page.len() => page[at] = (draw.next() as u8).max(1),
        3 | 4 => swap_lines(draw, page),
        _ => {
            let token = draw.pick(TOKENS).bytes();
            page.splice(at..at, token);
        }
    }
}

/// Moves a line elsewhere, or doubles it.
fn swap_lines(draw: &mut Draw, page: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = page
        .split_inclusive(|b| *b == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    if lines.is_empty() {
        return;
    }
    let line = lines[draw.below(lines.len())].clone();
    if draw.one_in(2) {
        let from = draw.below(lines.len());
        lines.remove(from);
    }
    let to = draw.below(lines.len() + 1);
    lines.insert(to, line);
    *page = lines.concat();
}

/// Draws what may be a number.
pub(super) fn number(draw: &mut Draw) -> String {
    let value = draw.float();
    let mut text = match draw.below(7) {
        0 => format!("{value}"),
        1 => format!("{value:e}"),
        2 => format!("{}", draw.next()),
        3 => format!(
            "0x{:x}.{:x}p{}",
            draw.next() >> draw.below(60),
            draw.below(9999),
            draw.below(99)
        ),
        4 => format!(
            "0X{:X}P-{}",
            draw.next() >> draw.below(60),
            draw.below(1200)
        ),
        5 => format!(
            "{}.{}e{}",
            draw.below(99),
            draw.next(),
            draw.below(700) as i64 - 350
        ),
        _ => (*draw.pick(&[
            "Inf", "infinity", "NaN", "+Inf", "-iNf", "1_000", "0x_1p0", "0.1",
        ]))
        .to_owned(),
    };
    if draw.one_in(3) {
        let pieces = ["_", "-", "+", ".", "0", "e", "p", "x", "f", "1"];
        let at = draw.below(text.len() + 1);
        text.insert_str(at, draw.pick::<&str>(&pieces));
    }
    text
}

/// Why Davy leaves out a line that textparse reads; each is a row of the tables.
const LEFT_OUT: &[Reason] = &[
    Reason::BadLabelName,
    Reason::BadLabelSet,
    Reason::BadUtf8,
    Reason::BoundMissing,
    Reason::DuplicateLabel,
    Reason::LabelWithoutValue,
    Reason::UnclosedQuote,
    Reason::ValueMissing,
];

/// What textparse or expfmt say when they refuse what the specification allows; rows likewise.
const REFUSED: &[&str] = &[
    "unsupported character in float",
    "expected float as value",
    "expected integer as timestamp, got \"\"",
    "spurious string after timestamp: \" ",
    "spurious string after timestamp: \"\\t",
    "invalid metric type",
    "unknown metric type",
];

/// What came of the pages.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Pages that both read whole, and alike.
    alike: usize,
    /// Pages of which textparse read a part.
    parts: usize,
    /// Pages that `--strict` took.
    strict: usize,
}

impl Seen {
    pub(super) fn check(&mut self, content_type: &str, page: &[u8], answer: &Answer) {
        let shown = || format!("{content_type}\n{}", String::from_utf8_lossy(page));
        let format = format_of(content_type);
        if format == Format::Protobuf && parse(page, Some(content_type), &Options::LENIENT).is_err()
        {
            assert_ne!(answer.textparse.error, "", "only Davy refused: {}", shown());
            return;
        }
        let read = lenient(content_type, page);
        let mut ours = Said::by_davy(&read).without_created();
        let theirs = Said::by_other(&answer.textparse, format);
        let mut theirs = theirs.without_indentation().without_created();
        ours.level(&mut theirs);
        let left_out = read.tally.first_bad.map(|error| error.reason);
        let is_whole = answer.textparse.error.is_empty();
        if is_whole && left_out.is_none() {
            let found = differences(&ours, &theirs, Scope::SAMPLES).join("\n");
            assert!(found.is_empty(), "{found}\n{}", shown());
            self.alike += 1;
        } else {
            let found = missing(&ours, &theirs);
            let listed = left_out.is_some_and(|reason| LEFT_OUT.contains(&reason));
            // A metric of protobuf has many samples; a line has one.
            let few = format == Format::Protobuf || found.len() as u64 <= read.tally.bad_lines;
            // textparse hands out some samples of lines that it refuses at the next token.
            let last = !is_whole && found.len() == 1;
            let excused = found.is_empty() || last || (listed && few);
            assert!(excused, "{left_out:?} {found:?}\n{}", shown());
            self.parts += usize::from(found.is_empty());
        }
        if parse(page, Some(content_type), &Options::STRICT).is_ok() {
            self.strict += 1;
            for (who, parsed, _) in parsers(answer) {
                let listed = REFUSED.iter().any(|reason| parsed.error.contains(reason));
                assert!(
                    parsed.error.is_empty() || listed,
                    "{who}: {}\n{}",
                    parsed.error,
                    shown()
                );
            }
        }
    }

    pub(super) fn report(&self) {
        let enough = self.alike > 1000 && self.parts > 1000 && self.strict > 300;
        assert!(enough, "{self:?}");
        println!("{self:?}");
    }
}
