//! Protobuf as far as counting needs it: what the agent encodes is not read by its own code.

use anyhow::{Context, bail};

/// A field's value; numbers of 32 bits stand in neither of the protocols counted here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'b> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'b [u8]),
}

impl<'b> Value<'b> {
    /// The message or text, empty where it is a number.
    pub(super) fn bytes(self) -> &'b [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

/// Calls `each` with number and value of every field of a message.
///
/// # Errors
///
/// A message that is cut short or none, and whatever `each` has.
pub(super) fn fields<'b>(
    mut message: &'b [u8],
    mut each: impl FnMut(u64, Value<'b>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut message)?),
            1 => Value::Fixed(fixed(&mut message)?),
            2 => {
                let length = usize::try_from(varint(&mut message)?)?;
                Value::Bytes(take(&mut message, length)?)
            }
            5 => {
                take(&mut message, 4)?;
                continue;
            }
            kind => bail!("a field of wire type {kind}"),
        };
        each(tag >> 3, value)?;
    }
    Ok(())
}

fn varint(message: &mut &[u8]) -> anyhow::Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().context("a varint cut short")?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a varint of more than ten bytes")
}

fn fixed(message: &mut &[u8]) -> anyhow::Result<u64> {
    let bytes = take(message, 8)?.try_into()?;
    Ok(u64::from_le_bytes(bytes))
}

fn take<'b>(message: &mut &'b [u8], length: usize) -> anyhow::Result<&'b [u8]> {
    let (taken, rest) = message
        .split_at_checked(length)
        .context("a field cut short")?;
    *message = rest;
    Ok(taken)
}
