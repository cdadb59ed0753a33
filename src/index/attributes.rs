//! The attributes file of a segment: one column per attribute, for filters and for `get`.
//! Bytes: storage/FORMAT.md, "Attributes file".

use std::collections::{BTreeMap, BTreeSet};

use super::schema::{AttributeKind, Schema};
use crate::error::{Error, Result};
use crate::storage::keys::{Key, KeyColumn, KeyKind, write_keys};
use crate::storage::section::{Array, SectionFile, SectionWriter};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Keyword(&'a str),
    Int64(i64),
    Float64(f64),
}

/// Code of a keyword that is missing. Codes number the sorted distinct values of the segment.
pub const NO_KEYWORD: u32 = u32::MAX;

pub enum Column {
    Keyword {
        codes: Array<u32>,
        words: KeyColumn,
    },
    Int64 {
        values: Array<i64>,
        present: Present,
    },
    Float64 {
        values: Array<f64>,
        present: Present,
    },
}

/// One bit for each document that has a value.
pub struct Present(Array<u64>);

impl Present {
    pub fn contains(&self, document: usize) -> bool {
        let word = self.0.get(document / 64).copied().unwrap_or(0);
        word >> (document % 64) & 1 == 1
    }
}

pub struct Attributes {
    columns: BTreeMap<String, Column>,
}

impl Attributes {
    pub fn open(file: &SectionFile, schema: &Schema, documents: usize) -> Result<Self> {
        let open = |(number, (name, kind)): (usize, (&String, &AttributeKind))| {
            Ok((name.clone(), Column::open(file, number, *kind, documents)?))
        };
        let columns = schema.attributes.iter().enumerate().map(open);
        Ok(Self {
            columns: columns.collect::<Result<_>>()?,
        })
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.get(name)
    }

    pub fn of_document(&self, document: usize) -> impl Iterator<Item = (&str, Option<Value<'_>>)> {
        let columns = self.columns.iter();
        columns.map(move |(name, column)| (name.as_str(), column.get(document)))
    }
}

impl Column {
    fn open(file: &SectionFile, number: usize, kind: AttributeKind, n: usize) -> Result<Self> {
        let present = || {
            let present = file.array_of(&format!("{number}.present"), n.div_ceil(64))?;
            Ok::<_, Error>(Present(present))
        };
        let values = format!("{number}.values");
        Ok(match kind {
            AttributeKind::Keyword => Column::Keyword {
                codes: file.array_of(&values, n)?,
                words: KeyColumn::open(file, &number.to_string(), KeyKind::Str)?,
            },
            AttributeKind::Int64 => Column::Int64 {
                values: file.array_of(&values, n)?,
                present: present()?,
            },
            AttributeKind::Float64 => Column::Float64 {
                values: file.array_of(&values, n)?,
                present: present()?,
            },
        })
    }

    pub fn get(&self, document: usize) -> Option<Value<'_>> {
        match self {
            Column::Keyword { codes, words } => {
                let code = codes.get(document).filter(|code| **code != NO_KEYWORD)?;
                match words.get(*code as usize)? {
                    Key::Str(word) => Some(Value::Keyword(word)),
                    Key::Int(_) => None,
                }
            }
            Column::Int64 { values, present } => {
                let value = values.get(document).copied().map(Value::Int64);
                value.filter(|_| present.contains(document))
            }
            Column::Float64 { values, present } => {
                let value = values.get(document).copied().map(Value::Float64);
                value.filter(|_| present.contains(document))
            }
        }
    }
}

/// Writes the columns of `documents` documents; `value(name, document)` gives each value.
pub fn write_attributes<'a>(
    file: &mut SectionWriter,
    schema: &Schema,
    documents: usize,
    value: impl Fn(&str, usize) -> Option<Value<'a>>,
) -> Result<()> {
    for (number, (name, kind)) in schema.attributes.iter().enumerate() {
        let values = || (0..documents).map(|document| value(name, document));
        match kind {
            AttributeKind::Keyword => write_keywords(file, number, values)?,
            AttributeKind::Int64 => {
                file.begin(&format!("{number}.values"))?;
                for value in values() {
                    let value = if let Some(Value::Int64(v)) = value {
                        v
                    } else {
                        0
                    };
                    file.write(&[value])?;
                }
                write_present(file, number, values())?;
            }
            AttributeKind::Float64 => {
                file.begin(&format!("{number}.values"))?;
                for value in values() {
                    let value = if let Some(Value::Float64(v)) = value {
                        v
                    } else {
                        0.0
                    };
                    file.write(&[value])?;
                }
                write_present(file, number, values())?;
            }
        }
    }
    Ok(())
}

fn write_keywords<'a, I: Iterator<Item = Option<Value<'a>>>>(
    file: &mut SectionWriter,
    number: usize,
    values: impl Fn() -> I,
) -> Result<()> {
    let word = |value| match value {
        Some(Value::Keyword(word)) => Some(word),
        _ => None,
    };
    let words: Vec<&str> = BTreeSet::from_iter(values().filter_map(word))
        .into_iter()
        .collect();
    write_keys(file, &number.to_string(), KeyKind::Str, || {
        words.iter().map(|word| Ok(Key::Str(word)))
    })?;
    file.begin(&format!("{number}.values"))?;
    for value in values() {
        let code = word(value).and_then(|word| words.binary_search(&word).ok());
        file.write(&[code.map_or(NO_KEYWORD, |code| code as u32)])?;
    }
    Ok(())
}

fn write_present<'a>(
    file: &mut SectionWriter,
    number: usize,
    values: impl Iterator<Item = Option<Value<'a>>>,
) -> Result<()> {
    file.begin(&format!("{number}.present"))?;
    let present: Vec<bool> = values.map(|value| value.is_some()).collect();
    for bits in present.chunks(64) {
        let set = bits.iter().enumerate().filter(|(_, bit)| **bit);
        let word = set.fold(0_u64, |word, (position, _)| word | 1 << position);
        file.write(&[word])?;
    }
    Ok(())
}
