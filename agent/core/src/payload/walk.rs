//! Reads protobuf's wire format field by field, borrowing from the bytes.
//!
//! Accepts what prost, Go's and Python's decoders accept, groups excepted: no OTLP message has ever
//! had one. Source: <https://protobuf.dev/programming-guides/encoding/>.

use std::fmt;

/// Largest field number of protobuf, 2²⁹ − 1.
const FIELD_NUMBER_MAX: u64 = (1 << 29) - 1;
/// Most bytes of a varint: ten times seven bits hold 64.
const VARINT_BYTES_MAX: usize = 10;

/// Why bytes are no message, and where.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("byte {offset}: {reason}")]
pub struct Malformed {
    /// Offset from the start of the request, bytes.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// A group, or a wire type that does not exist.
    BadWireType(u8),
    /// Field number 0 or above 2²⁹ − 1.
    FieldNumber,
    /// An identifier that is neither empty nor as long as it must be, in bytes.
    IdLength {
        /// Length found.
        found: usize,
        /// Length of such an identifier.
        expected: usize,
    },
    /// A string that is not UTF-8.
    NotUtf8,
    /// A varint of more than 64 bits.
    Overlong,
    /// Messages nested deeper than any decoder follows.
    TooDeep,
    /// So many messages in one item that decoding it would cost many times its bytes.
    TooManyMessages,
    /// So many resources that marking each would cost more memory than the request.
    TooManyResources,
    /// The bytes end within a field.
    Truncated,
    /// A known field with a wire type that is not its own.
    WireType {
        /// The field's number.
        field: u32,
        /// Wire type found.
        found: u8,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadWireType(found) => write!(f, "wire type {found} is not used"),
            Self::FieldNumber => f.write_str("field number out of range"),
            Self::IdLength { found, expected } => {
                write!(f, "identifier of {found} bytes, expected {expected}")
            }
            Self::NotUtf8 => f.write_str("string is not UTF-8"),
            Self::Overlong => f.write_str("varint of more than 64 bits"),
            Self::TooDeep => f.write_str("messages nested too deep"),
            Self::TooManyMessages => f.write_str("too many messages in one item"),
            Self::TooManyResources => f.write_str("too many resources in one request"),
            Self::Truncated => f.write_str("the message ends within a field"),
            Self::WireType { field, found } => {
                write!(f, "field {field} with wire type {found}")
            }
        }
    }
}

/// The value of a field as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Bytes(Message<'a>),
    Fixed32,
    Fixed64,
    Varint(u64),
}

impl Value<'_> {
    pub(crate) const fn wire_type(&self) -> u8 {
        match self {
            Self::Varint(_) => 0,
            Self::Fixed64 => 1,
            Self::Bytes(_) => 2,
            Self::Fixed32 => 5,
        }
    }
}

/// One field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
    /// The whole field, tag included.
    pub(crate) raw: &'a [u8],
    /// Where it starts, from the start of the request.
    pub(crate) offset: usize,
}

impl<'a> Field<'a> {
    /// The value of a length-delimited field, which a known message field must be.
    pub(crate) fn message(&self) -> Result<Message<'a>, Malformed> {
        match self.value {
            Value::Bytes(message) => Ok(message),
            _ => Err(self.wrong_wire_type()),
        }
    }

    pub(crate) fn wrong_wire_type(&self) -> Malformed {
        let reason = Reason::WireType {
            field: self.number,
            found: self.value.wire_type(),
        };
        self.malformed(reason)
    }

    pub(crate) const fn malformed(&self, reason: Reason) -> Malformed {
        malformed(self.offset, reason)
    }
}

/// Bytes of a message and where they stand in the request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) offset: usize,
}

impl<'a> Message<'a> {
    /// The whole request.
    pub(crate) const fn request(bytes: &'a [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    pub(crate) const fn fields(self) -> Fields<'a> {
        Fields {
            rest: self.bytes,
            end: self.offset + self.bytes.len(),
        }
    }
}

/// Iterates over the fields of a message; ends after the first error.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    /// Where the message ends, from the start of the request.
    end: usize,
}

impl<'a> Fields<'a> {
    #[inline]
    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let (start, offset) = (self.rest, self.offset());
        let key = self.varint()?;
        let number = key >> 3;
        if number == 0 || number > FIELD_NUMBER_MAX {
            return Err(malformed(offset, Reason::FieldNumber));
        }
        let value = match (key & 7) as u8 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed64)?,
            2 => {
                let length = self.varint()?;
                // A length that no machine could hold is certainly beyond the end.
                Value::Bytes(self.take(usize::try_from(length).unwrap_or(usize::MAX))?)
            }
            5 => self.take(4).map(|_| Value::Fixed32)?,
            other => return Err(malformed(offset, Reason::BadWireType(other))),
        };
        let length = start.len() - self.rest.len();
        Ok(Field {
            number: number as u32,
            value,
            raw: start.get(..length).unwrap_or_default(),
            offset,
        })
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<Message<'a>, Malformed> {
        let offset = self.offset();
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            return Err(malformed(offset, Reason::Truncated));
        };
        self.rest = rest;
        Ok(Message { bytes, offset })
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let (value, length) =
            varint(self.rest).map_err(|reason| malformed(self.offset(), reason))?;
        self.rest = self.rest.get(length..).unwrap_or_default();
        Ok(value)
    }

    const fn offset(&self) -> usize {
        self.end - self.rest.len()
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

const fn malformed(offset: usize, reason: Reason) -> Malformed {
    Malformed { offset, reason }
}

/// The varint at the start of `bytes` and its length in bytes.
#[inline]
pub(crate) fn varint(bytes: &[u8]) -> Result<(u64, usize), Reason> {
    match bytes.first() {
        // Most are tags and lengths of one byte.
        Some(byte) if *byte < 0x80 => Ok((u64::from(*byte), 1)),
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &[u8]) -> Result<(u64, usize), Reason> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().take(VARINT_BYTES_MAX).enumerate() {
        if index == VARINT_BYTES_MAX - 1 && *byte > 1 {
            return Err(Reason::Overlong);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok((value, index + 1));
        }
    }
    Err(Reason::Truncated)
}

#[cfg(test)]
mod tests;
