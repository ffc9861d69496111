//! Values of fields: how each protobuf type is written and read.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::JsonError;

/// A protobuf type with its JSON form.
pub(super) trait Field: Sized {
    /// The JSON form.
    fn to_json(&self) -> Value;
    /// Reads the JSON form.
    fn from_json(value: &Value) -> Result<Self, Fault>;
    /// Whether a field of this value is left out.
    fn is_default(&self) -> bool;
}

/// What is wrong, and where: the path grows outwards as the error is handed up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    steps: Vec<String>,
    problem: String,
}

impl Fault {
    /// A fault at this very value.
    pub(super) fn expected(what: &str, value: &Value) -> Self {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Number(number) => number.to_string(),
            Value::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "an object".to_owned(),
        };
        Self {
            steps: Vec::new(),
            problem: format!("expected {what}, found {found}"),
        }
    }

    /// A fault at this very value, in words.
    pub(super) const fn new(problem: String) -> Self {
        Self {
            steps: Vec::new(),
            problem,
        }
    }

    /// The same, one step further out.
    pub(super) fn under(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    /// The error of a fault below `path`.
    pub(super) fn into_error(self, mut path: String) -> JsonError {
        for step in self.steps.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        if path.is_empty() {
            path.push_str("request");
        }
        JsonError::Content {
            path,
            problem: self.problem,
        }
    }
}

/// Writes a field unless it has its default.
pub(super) fn put<T: Field>(object: &mut Map<String, Value>, name: &str, field: &T) {
    if !field.is_default() {
        object.insert(name.to_owned(), field.to_json());
    }
}

/// Reads a field.
pub(super) fn take<T: Field>(name: &str, value: &Value) -> Result<T, Fault> {
    T::from_json(value).map_err(|fault| fault.under(name.to_owned()))
}

/// The fields of an object that are not null, by their lowerCamelCase names.
pub(super) fn fields(value: &Value) -> Result<impl Iterator<Item = (Cow<'_, str>, &Value)>, Fault> {
    let object = value
        .as_object()
        .ok_or_else(|| Fault::expected("an object", value))?;
    let present = object.iter().filter(|(_, value)| !value.is_null());
    Ok(present.map(|(name, value)| (camel_case(name), value)))
}

/// The lowerCamelCase of a name in snake_case.
pub(super) fn camel_case(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                camel.push(letter.to_ascii_uppercase());
                upper = false;
            }
            letter => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}

impl Field for String {
    fn to_json(&self) -> Value {
        Value::String(self.clone())
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Fault::expected("text", value))
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl Field for bool {
    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        value
            .as_bool()
            .ok_or_else(|| Fault::expected("true or false", value))
    }
    fn is_default(&self) -> bool {
        !self
    }
}

impl Field for f64 {
    fn to_json(&self) -> Value {
        match Number::from_f64(*self) {
            Some(number) => Value::Number(number),
            None if self.is_nan() => Value::from("NaN"),
            None if *self > 0.0 => Value::from("Infinity"),
            None => Value::from("-Infinity"),
        }
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        let number = match value {
            Value::String(text) => match text.as_str() {
                "NaN" => Some(Self::NAN),
                "Infinity" => Some(Self::INFINITY),
                "-Infinity" => Some(Self::NEG_INFINITY),
                text => text.parse().ok().filter(|number: &Self| number.is_finite()),
            },
            value => value.as_f64(),
        };
        number.ok_or_else(|| Fault::expected("a number", value))
    }
    fn is_default(&self) -> bool {
        self.to_bits() == 0
    }
}

/// A whole number in any of the forms it may have: a number, its text, or `1.0` and `1e3`.
fn whole(value: &Value) -> Option<i128> {
    let of_float = |number: f64| {
        (number.fract() == 0.0 && number.abs() < 2_f64.powi(63)).then_some(number as i128)
    };
    match value {
        Value::Number(number) => {
            let exact = number
                .as_i64()
                .map(i128::from)
                .or(number.as_u64().map(i128::from));
            exact.or_else(|| of_float(number.as_f64()?))
        }
        Value::String(text) => text
            .parse()
            .ok()
            .or_else(|| of_float(text.parse().ok().filter(|n: &f64| n.is_finite())?)),
        _ => None,
    }
}

macro_rules! whole_number {
    ($($type:ty: $what:literal, $written:expr;)+) => {$(
        impl Field for $type {
            fn to_json(&self) -> Value {
                $written(*self)
            }
            fn from_json(value: &Value) -> Result<Self, Fault> {
                let number = whole(value).and_then(|number| Self::try_from(number).ok());
                number.ok_or_else(|| Fault::expected($what, value))
            }
            fn is_default(&self) -> bool {
                *self == 0
            }
        }
    )+};
}

whole_number! {
    u64: "an unsigned 64-bit integer", |number: u64| Value::String(number.to_string());
    i64: "a 64-bit integer", |number: i64| Value::String(number.to_string());
    u32: "an unsigned 32-bit integer", Value::from;
    i32: "a 32-bit integer", Value::from;
}

/// Trace and span ids; the only bytes outside of values.
impl Field for Vec<u8> {
    fn to_json(&self) -> Value {
        Value::String(self.iter().map(|byte| format!("{byte:02x}")).collect())
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        let digit = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let bytes = value
            .as_str()
            .filter(|text| text.len() % 2 == 0)
            .and_then(|text| {
                let pairs = text.as_bytes().chunks(2);
                let byte = |pair: &[u8]| Some(digit(pair.first()?)? << 4 | digit(pair.last()?)?);
                pairs.map(byte).collect()
            });
        bytes.ok_or_else(|| Fault::expected("a hexadecimal id", value))
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

/// What repeated fields are made of; bytes are not among it.
pub(super) trait Element: Field {}
impl Element for f64 {}
impl Element for u64 {}
impl Element for String {}

impl<T: Element> Field for Vec<T> {
    fn to_json(&self) -> Value {
        self.iter().map(Field::to_json).collect()
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        let items = value
            .as_array()
            .ok_or_else(|| Fault::expected("a list", value))?;
        let read = |(at, item)| T::from_json(item).map_err(|fault| fault.under(format!("[{at}]")));
        items.iter().enumerate().map(read).collect()
    }
    fn is_default(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Field> Field for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::to_json)
    }
    fn from_json(value: &Value) -> Result<Self, Fault> {
        T::from_json(value).map(Some)
    }
    fn is_default(&self) -> bool {
        self.is_none()
    }
}
