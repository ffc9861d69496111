//! The tables of `docs/exposition.md`, read and tried.
//!
//! A row has the input in backticks, the sentence of the specification, and what textparse, expfmt,
//! Davy and Davy with `--strict` make of it.

use davy_agent_core::exposition::{Format, Options, parse};

use super::compare::{Scope, differences};
use super::generate::Style;
use super::oracle::{Answer, Parsed};
use super::series::Said;
use super::{format_of, lenient};

/// A row of a table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) content_type: &'static str,
    pub(super) input: Vec<u8>,
    /// What textparse, expfmt, Davy and Davy with `--strict` do.
    pub(super) expected: [String; 4],
    /// Section and input, as they are written.
    pub(super) shown: String,
}

/// Reads the rows below the headings that name a format.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let (mut rows, mut style, mut section) = (Vec::new(), None, "");
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading;
            style = match heading {
                "Text" => Some(Style::Text),
                "OpenMetrics" => Some(Style::OpenMetrics),
                "Protobuf" => Some(Style::Protobuf),
                _ => None,
            };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(style), [_, input, _, textparse, expfmt, davy, strict, _]) = (style, &*cells)
        else {
            continue;
        };
        let Some(input) = input
            .strip_prefix('`')
            .and_then(|input| input.strip_suffix('`'))
        else {
            continue;
        };
        rows.push(Row {
            content_type: style.content_type(),
            input: bytes(input, style),
            expected: [*textparse, *expfmt, *davy, *strict].map(str::to_owned),
            shown: format!("{section} {input}"),
        });
    }
    rows
}

/// Undoes `␊`, `␍`, `␉` and `␀`; protobuf is in hex.
fn bytes(input: &str, style: Style) -> Vec<u8> {
    if style == Style::Protobuf {
        return hex(input);
    }
    let text = [
        ("␊", "\n"),
        ("␍", "\r"),
        ("␉", "\t"),
        ("␀", "\0"),
        ("¦", "|"),
    ];
    let text = text
        .iter()
        .fold(input.to_owned(), |text, (from, to)| text.replace(from, to));
    text.into_bytes()
}

/// Reads bytes in hex; blanks between them are skipped.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("hex") as u8;
    digits
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect()
}

/// Returns what each makes of a page, in the words of the tables.
pub(super) fn outcome(content_type: &str, page: &[u8], answer: &Answer) -> [String; 4] {
    let format = format_of(content_type);
    let lenient_error = parse(page, Some(content_type), &Options::LENIENT).err();
    let davy = match &lenient_error {
        Some(error) => error.to_string(),
        None => match lenient(content_type, page).tally.first_bad {
            Some(error) => error.to_string(),
            None => "reads".to_owned(),
        },
    };
    let strict = match parse(page, Some(content_type), &Options::STRICT) {
        Ok(_) => "reads".to_owned(),
        Err(error) => error.to_string(),
    };
    let ours = match lenient_error {
        Some(_) => Said::default(),
        None => Said::by_davy(&lenient(content_type, page)),
    };
    let textparse = other(&ours, &answer.textparse, format, Scope::ALL);
    let expfmt = answer.expfmt.as_ref();
    let expfmt = expfmt.map_or("–".to_owned(), |it| {
        other(&ours, it, format, Scope::SAMPLES)
    });
    [textparse, expfmt, davy, strict]
}

fn other(ours: &Said, parsed: &Parsed, format: Format, scope: Scope) -> String {
    if parsed.error.starts_with("panic") {
        return "panics".to_owned();
    }
    if !parsed.error.is_empty() {
        return "refuses".to_owned();
    }
    let (mut ours, mut theirs) = (ours.clone(), Said::by_other(parsed, format));
    if scope.natives {
        ours.level(&mut theirs);
    }
    match differences(&ours, &theirs, scope).is_empty() {
        true => "reads".to_owned(),
        false => "reads otherwise".to_owned(),
    }
}
