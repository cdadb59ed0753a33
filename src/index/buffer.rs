//! Documents added and not yet in a segment.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use super::attributes::Value;
use super::batch::{SparseRows, Values};
use super::schema::{AttributeKind, Schema};
use crate::multivector::TokenBuffer;
use crate::sparse::SparseBuffer;
use crate::storage::keys::{Key, OwnedKey};
use crate::text::TermRows;

#[derive(Default)]
pub struct Buffer {
    /// The row of each id that is in the buffer; its newest one.
    rows: IndexMap<OwnedKey, u32, FxBuildHasher>,
    /// For each row, which entry of `rows` it had or has.
    entries: Vec<u32>,
    pub sparse: SparseBuffer,
    pub tokens: TokenBuffer,
    /// Bytes of the code of a sketch.
    sketch_bytes: usize,
    /// Tokens of each row, where they come as text.
    pub lengths: Vec<u32>,
    attributes: BTreeMap<String, Values>,
    other_bytes: usize,
}

/// In `rows`, for an id whose document was deleted.
const DELETED: u32 = u32::MAX;
const BYTES_PER_ROW: usize = 64;

impl Buffer {
    pub fn new(schema: &Schema) -> Self {
        let column = |kind: &AttributeKind| match kind {
            AttributeKind::Keyword => Values::Keyword(vec![]),
            AttributeKind::Int64 => Values::Int64(vec![]),
            AttributeKind::Float64 => Values::Float64(vec![]),
        };
        let attributes = schema.attributes.iter();
        let codec = schema.codec().ok().flatten();
        Self {
            sketch_bytes: schema.sketch_bytes(),
            tokens: codec.as_ref().map(TokenBuffer::new).unwrap_or_default(),
            attributes: attributes
                .map(|(name, kind)| (name.clone(), column(kind)))
                .collect(),
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of memory, about, that the documents take until they are in a segment.
    pub fn memory(&self) -> usize {
        self.sparse.memory()
            + self.tokens.memory()
            + self.other_bytes
            + self.entries.len() * (BYTES_PER_ROW + self.sketch_bytes)
    }

    /// Starts the row of a document, in place of an earlier one with the same id.
    pub fn push_id(&mut self, id: Key<'_>) {
        let row = self.entries.len() as u32;
        let entry = match self.rows.get_full_mut(&id) {
            Some((entry, _, newest)) => {
                *newest = row;
                entry
            }
            None => {
                let id = OwnedKey::from(id);
                self.other_bytes += id.size();
                self.rows.insert_full(id, row).0
            }
        };
        self.entries.push(entry as u32);
    }

    pub fn push_sparse(&mut self, rows: &SparseRows<'_>, row: usize) {
        for (term, weight) in rows.row(row).filter(|(_, weight)| *weight > 0.0) {
            let term = self.sparse.intern(term);
            self.sparse.push(term, weight);
        }
        self.sparse.end_row();
    }

    /// `terms` are the numbers in this buffer of the terms of `rows`.
    pub fn push_text(&mut self, rows: &TermRows, terms: &[u32], row: usize) {
        for &(term, frequency) in &rows.rows[row] {
            self.sparse.push(terms[term as usize], frequency as f32);
        }
        self.sparse.end_row();
        self.lengths.push(rows.lengths[row]);
    }

    pub fn push_attributes(&mut self, batch: &[(String, Values)], row: usize) {
        for (name, column) in &mut self.attributes {
            let given = batch
                .iter()
                .find(|(given, _)| given == name)
                .map(|(_, values)| values);
            match (column, given) {
                (Values::Keyword(column), Some(Values::Keyword(values))) => {
                    let value = values[row].clone();
                    self.other_bytes += value.as_ref().map_or(0, String::len) + 24;
                    column.push(value);
                }
                (Values::Int64(column), Some(Values::Int64(values))) => column.push(values[row]),
                (Values::Float64(column), Some(Values::Float64(values))) => {
                    column.push(values[row])
                }
                (Values::Keyword(column), _) => column.push(None),
                (Values::Int64(column), _) => column.push(None),
                (Values::Float64(column), _) => column.push(None),
            }
        }
    }

    /// Deletes a document if it is here.
    pub fn delete(&mut self, id: Key<'_>) -> bool {
        match self.rows.get_mut(&id) {
            Some(row) if *row != DELETED => {
                *row = DELETED;
                true
            }
            _ => false,
        }
    }

    /// Rows neither replaced nor deleted, in the order they came.
    pub fn live_rows(&self) -> Vec<u32> {
        let rows = (0..).zip(&self.entries);
        rows.filter(|(row, entry)| self.rows[**entry as usize] == *row)
            .map(|(row, _)| row)
            .collect()
    }

    pub fn id(&self, row: u32) -> Key<'_> {
        let entry = self.entries[row as usize] as usize;
        match self.rows.get_index(entry) {
            Some((id, _)) => id.as_key(),
            None => unreachable!("every row has an entry"),
        }
    }

    pub fn attribute(&self, name: &str, row: u32) -> Option<Value<'_>> {
        let row = row as usize;
        match self.attributes.get(name)? {
            Values::Keyword(values) => values[row].as_deref().map(Value::Keyword),
            Values::Int64(values) => values[row].map(Value::Int64),
            Values::Float64(values) => values[row].map(Value::Float64),
        }
    }
}
