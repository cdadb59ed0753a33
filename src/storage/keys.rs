//! Keys — external ids, terms, keyword values: all integers or all strings — and columns of them in a
//! file of sections. Bytes: FORMAT.md, "Key columns".

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::section::{Array, SectionFile, SectionWriter};
use crate::error::Result;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    Int,
    Str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'a> {
    Int(i64),
    Str(&'a str),
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Int(value) => write!(f, "{value}"),
            Key::Str(value) => write!(f, "{value:?}"),
        }
    }
}

/// Many keys of one kind, as a caller has them.
#[derive(Clone, Debug)]
pub enum Keys<'a> {
    Int(&'a [i64]),
    Str(&'a [&'a str]),
}

impl<'a> Keys<'a> {
    pub fn len(&self) -> usize {
        match self {
            Keys::Int(values) => values.len(),
            Keys::Str(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn kind(&self) -> KeyKind {
        match self {
            Keys::Int(_) => KeyKind::Int,
            Keys::Str(_) => KeyKind::Str,
        }
    }

    pub fn get(&self, position: usize) -> Option<Key<'a>> {
        match self {
            Keys::Int(values) => values.get(position).copied().map(Key::Int),
            Keys::Str(values) => values.get(position).copied().map(Key::Str),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Key<'a>> + '_ {
        (0..self.len()).filter_map(|position| self.get(position))
    }
}

/// A mapped column of keys.
pub enum KeyColumn {
    Int(Array<i64>),
    /// String `i` is `bytes[ends[i - 1]..ends[i]]`, the first from 0.
    Str {
        ends: Array<u32>,
        bytes: Array<u8>,
    },
}

impl KeyColumn {
    /// Reads the column written under `prefix`, which has at most 11 characters.
    pub fn open(file: &SectionFile, prefix: &str, kind: KeyKind) -> Result<Self> {
        Ok(match kind {
            KeyKind::Int => KeyColumn::Int(file.array(&format!("{prefix}.int"))?),
            KeyKind::Str => KeyColumn::Str {
                ends: file.array(&format!("{prefix}.ends"))?,
                bytes: file.array(&format!("{prefix}.utf8"))?,
            },
        })
    }

    pub fn len(&self) -> usize {
        match self {
            KeyColumn::Int(values) => values.len(),
            KeyColumn::Str { ends, .. } => ends.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `None` outside the column, and where a damaged file has no valid string.
    pub fn get(&self, position: usize) -> Option<Key<'_>> {
        match self {
            KeyColumn::Int(values) => values.get(position).copied().map(Key::Int),
            KeyColumn::Str { .. } => {
                let bytes = self.bytes(position)?;
                std::str::from_utf8(bytes).ok().map(Key::Str)
            }
        }
    }

    /// Position of `key` in a column that ascends.
    pub fn find(&self, key: Key<'_>) -> Option<usize> {
        let position = self.lower_bound(key);
        (self.compare(position, key)? == std::cmp::Ordering::Equal).then_some(position)
    }

    /// Number of keys below `key` in a column that ascends.
    pub fn lower_bound(&self, key: Key<'_>) -> usize {
        if let (KeyColumn::Int(values), Key::Int(key)) = (self, key) {
            let range = near(values, key);
            let within = values.get(range.clone()).unwrap_or_default();
            return range
                .start
                .saturating_add(within.partition_point(|value| *value < key));
        }
        partition_point(self.len(), |position| {
            self.compare(position, key) == Some(std::cmp::Ordering::Less)
        })
    }

    /// How the key at `position` compares with `key`; keys of the other kind never compare.
    pub fn compare(&self, position: usize, key: Key<'_>) -> Option<std::cmp::Ordering> {
        match (self, key) {
            (KeyColumn::Int(values), Key::Int(key)) => Some(values.get(position)?.cmp(&key)),
            (KeyColumn::Str { .. }, Key::Str(key)) => {
                Some(self.bytes(position)?.cmp(key.as_bytes()))
            }
            _ => None,
        }
    }

    fn bytes(&self, position: usize) -> Option<&[u8]> {
        let KeyColumn::Str { ends, bytes } = self else {
            return None;
        };
        let end = *ends.get(position)? as usize;
        let start = match position.checked_sub(1) {
            Some(previous) => *ends.get(previous)? as usize,
            None => 0,
        };
        bytes.get(start..end)
    }
}

/// Where the lower bound of `key` lies in values that ascend: near the place that it would have if they
/// were evenly spread, as the numbers of a vocabulary nearly are.
fn near(values: &[i64], key: i64) -> Range<usize> {
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return 0..0;
    };
    let share = (key as f64 - first as f64) / (last as f64 - first as f64).max(1.0);
    let guess = (share * values.len() as f64) as usize;
    let is_below = |position: usize| values.get(position).is_some_and(|value| *value < key);
    let mut step = 8_usize;
    let mut start = guess.min(values.len());
    let mut end = start;
    while is_below(end) {
        start = end.saturating_add(1);
        end = end.saturating_add(step).min(values.len());
        step = step.saturating_mul(2);
    }
    while start > 0 && !is_below(start.saturating_sub(1)) {
        end = start.saturating_sub(1);
        start = start.saturating_sub(step);
        step = step.saturating_mul(2);
    }
    start..end
}

/// First position in `0..length` for which `below` is false, when it is true before it only.
pub fn partition_point(length: usize, below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = usize::midpoint(low, high);
        if below(middle) {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    low
}

/// Writes a column under `prefix`. Goes over the keys twice.
pub fn write_keys<'a, I>(
    file: &mut SectionWriter,
    prefix: &str,
    kind: KeyKind,
    keys: impl Fn() -> I,
) -> Result<()>
where
    I: Iterator<Item = Result<Key<'a>>>,
{
    match kind {
        KeyKind::Int => {
            file.begin(&format!("{prefix}.int"))?;
            for key in keys() {
                if let Key::Int(value) = key? {
                    file.write(&[value])?;
                }
            }
        }
        KeyKind::Str => {
            file.begin(&format!("{prefix}.ends"))?;
            let mut end = 0_u32;
            for key in keys() {
                end = end.saturating_add(as_str(key?).len() as u32);
                file.write(&[end])?;
            }
            file.begin(&format!("{prefix}.utf8"))?;
            for key in keys() {
                file.write(as_str(key?).as_bytes())?;
            }
        }
    }
    Ok(())
}

fn as_str<'a>(key: Key<'a>) -> &'a str {
    match key {
        Key::Str(value) => value,
        Key::Int(_) => "",
    }
}

/// A key that owns its string, for collections in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnedKey {
    Int(i64),
    Str(Box<str>),
}

impl OwnedKey {
    pub fn as_key(&self) -> Key<'_> {
        match self {
            OwnedKey::Int(value) => Key::Int(*value),
            OwnedKey::Str(value) => Key::Str(value),
        }
    }

    /// Bytes in memory, about.
    pub fn size(&self) -> usize {
        let string = match self {
            OwnedKey::Int(_) => 0,
            OwnedKey::Str(value) => value.len(),
        };
        size_of::<Self>().saturating_add(string)
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Int(value) => OwnedKey::Int(value),
            Key::Str(value) => OwnedKey::Str(value.into()),
        }
    }
}

impl indexmap::Equivalent<OwnedKey> for Key<'_> {
    fn equivalent(&self, owned: &OwnedKey) -> bool {
        *self == owned.as_key()
    }
}
