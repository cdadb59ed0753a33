//! The encoding of Protocol Buffers: numbered fields, each a number of up to 64 bits, eight or four
//! bytes, or bytes with their length. Fields that are zero or empty are left out. Reading borrows and
//! allocates nothing. Imports nothing of the crate.

/// What is wrong, to stand behind the name of the place.
pub type Fault = &'static str;

/// The value of a field, before anybody knows its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed(&'a [u8]),
    Bytes(&'a [u8]),
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;
/// A number of 64 bits takes at most so many bytes, seven bits in each.
const LONGEST_VARINT: usize = 10;

/// Takes a number off the front.
#[inline]
pub fn take_varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    match rest.split_first() {
        Some((&byte, after)) if byte < 0x80 => {
            *rest = after;
            Ok(byte.into())
        }
        _ => take_long_varint(rest),
    }
}

fn take_long_varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0;
    for (shift, (position, &byte)) in (0_u32..).step_by(7).zip(rest.iter().enumerate()) {
        if position >= LONGEST_VARINT || (position == LONGEST_VARINT.saturating_sub(1) && byte > 1)
        {
            return Err("a number has more than 64 bits");
        }
        value |= u64::from(byte & 0x7f).wrapping_shl(shift);
        if byte < 0x80 {
            *rest = rest.get(position.saturating_add(1)..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err("the bytes end inside a number")
}

/// Takes bytes with their length off the front.
pub fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = take_varint(rest)?;
    take(rest, usize::try_from(length).unwrap_or(usize::MAX))
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Fault> {
    let (taken, after) = rest
        .split_at_checked(length)
        .ok_or("a length passes the end of the bytes")?;
    *rest = after;
    Ok(taken)
}

/// Takes a field off the front: its number and its value; `None` at the end.
#[inline]
pub fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, Fault> {
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = take_varint(rest)?;
    let value = match tag & 7 {
        VARINT => Value::Varint(take_varint(rest)?),
        FIXED64 => Value::Fixed(take(rest, 8)?),
        BYTES => Value::Bytes(take_bytes(rest)?),
        FIXED32 => Value::Fixed(take(rest, 4)?),
        _ => return Err("a field has a type that is not in use"),
    };
    Ok(Some((tag >> 3, value)))
}

impl<'a> Value<'a> {
    pub fn int64(self) -> Result<i64, Fault> {
        match self {
            Value::Varint(value) => Ok(value.cast_signed()),
            _ => Err("a field that should be an integer is not"),
        }
    }

    pub fn int32(self) -> Result<i32, Fault> {
        i32::try_from(self.int64()?).map_err(|_| "a number has more than 32 bits")
    }

    pub fn bytes(self) -> Result<&'a [u8], Fault> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err("a field that should be a string or a message is not"),
        }
    }

    pub fn string(self) -> Result<&'a str, Fault> {
        str::from_utf8(self.bytes()?).map_err(|_| "a string is not UTF-8")
    }
}

/// A message under construction.
#[derive(Default)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn int(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.tag(field, VARINT);
            self.varint(value);
        }
    }

    pub fn double(&mut self, field: u64, value: f64) {
        if value != 0.0 {
            self.tag(field, FIXED64);
            self.0.extend(value.to_le_bytes());
        }
    }

    pub fn string(&mut self, field: u64, value: &str) {
        if !value.is_empty() {
            self.item(field, value.as_bytes());
        }
    }

    /// One item of a repeated field, which is there though it be empty.
    pub fn item(&mut self, field: u64, bytes: &[u8]) {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// A number alone, such as the length before a message.
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Field {
        Int(u64),
        Double(f64),
        Item(Vec<u8>),
    }

    fn field() -> impl Strategy<Value = (u64, Field)> {
        let bytes = proptest::collection::vec(any::<u8>(), 0..300);
        let value = prop_oneof![
            any::<u64>().prop_map(Field::Int),
            (0..64_u32).prop_map(|shift| Field::Int(u64::MAX >> shift)),
            (1.0..9.0).prop_map(Field::Double),
            bytes.prop_map(Field::Item),
        ];
        (1..1_u64 << 29, value)
    }

    fn encode(fields: &[(u64, Field)]) -> Vec<u8> {
        let mut message = Message::default();
        for (number, field) in fields {
            match field {
                Field::Int(value) => message.int(*number, *value),
                Field::Double(value) => message.double(*number, *value),
                Field::Item(bytes) => message.item(*number, bytes),
            }
        }
        message.0
    }

    fn count(mut rest: &[u8]) -> Result<usize, Fault> {
        let mut count = 0;
        while take_field(&mut rest)?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    proptest! {
        #[test]
        fn fields_come_back(fields in proptest::collection::vec(field(), 0..20)) {
            let bytes = encode(&fields);
            let mut rest = bytes.as_slice();
            for (number, field) in &fields {
                let value = match field {
                    Field::Int(0) => continue,
                    Field::Int(value) => Value::Varint(*value),
                    Field::Double(value) => Value::Fixed(&value.to_le_bytes()),
                    Field::Item(bytes) => Value::Bytes(bytes),
                };
                prop_assert_eq!(take_field(&mut rest), Ok(Some((*number, value))));
            }
            prop_assert_eq!(take_field(&mut rest), Ok(None));
        }

        #[test]
        fn a_field_cut_short_is_an_error(field in field()) {
            let bytes = encode(&[field]);
            for end in 1..bytes.len() {
                prop_assert!(count(&bytes[..end]).is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_are_read_to_their_end_or_refused(bytes: Vec<u8>) {
            let _ = count(&bytes);
        }
    }

    #[test]
    fn numbers_at_their_limits() {
        let read = |bytes: &[u8]| take_varint(&mut &*bytes);
        assert_eq!(read(&[0x80, 0x00]), Ok(0), "a padded zero is legal");
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read(&largest), Ok(u64::MAX));
        assert_eq!(Value::Varint(u64::MAX).int32(), Ok(-1));
        let wide = |last: &[u8]| [&[0xff; 9], last].concat();
        for last in [&[0x02][..], &[0x80, 0x00], &[0xff, 0xff]] {
            assert!(read(&wide(last)).is_err_and(|fault| fault.contains("64 bits")));
        }
        assert!(Value::Varint(1 << 31).int32().is_err());
        assert!(read(&[]).is_err() && read(&[0xff; 9]).is_err());
    }

    #[test]
    fn types_that_are_not_in_use_are_refused() {
        for kind in [3, 4, 6, 7] {
            assert!(count(&[1 << 3 | kind, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        }
        assert!(Value::Bytes(&[]).int64().is_err());
        assert!(Value::Varint(0).string().is_err());
        assert!(Value::Bytes(&[0xff]).string().is_err());
    }
}
