//! Queries: rows of terms and weights, as given or made from text with the statistics of a snapshot.

use super::batch::SparseRows;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::storage::keys::OwnedKey;

/// Distinct terms with finite weights that are not negative.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub(super) terms: Vec<OwnedKey>,
    pub(super) weights: Vec<f32>,
}

/// What a term adds to the score of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    pub term: OwnedKey,
    pub query_weight: f32,
    pub document_weight: f32,
    pub contribution: f32,
}

impl Snapshot {
    /// Queries from rows, checked against the schema.
    pub fn vector_queries(&self, rows: &SparseRows<'_>) -> Result<Vec<Query>> {
        let kind = self.sparse_schema()?.terms;
        rows.check()?;
        if !rows.terms.is_empty() && rows.terms.kind() != kind {
            return Err(Error::SchemaMismatch(
                "the terms of the query are not of the kind that the index has".into(),
            ));
        }
        let query = |row| {
            let (terms, weights) = rows
                .row(row)
                .map(|(term, w)| (OwnedKey::from(term), w))
                .unzip();
            Query { terms, weights }
        };
        Ok((0..rows.rows()).map(query).collect())
    }

    /// Queries from texts: each word weighs its frequency in the query times its inverse document
    /// frequency among the live documents of this snapshot.
    pub fn text_queries(&self, texts: &[&str]) -> Result<Vec<Query>> {
        let bm25 = self.schema().bm25();
        let (Some(bm25), Some(analyzer)) = (bm25, &self.analyzer) else {
            return Err(Error::SchemaMismatch(
                "this index holds given vectors and cannot read text; pass sparse=".into(),
            ));
        };
        let documents = self.len();
        texts
            .iter()
            .map(|text| {
                let mut query = Query::default();
                let rows = analyzer.analyze_rows(&[text]);
                for &(term, frequency) in rows.rows.iter().flatten() {
                    let term = OwnedKey::Str(rows.terms[term as usize].as_str().into());
                    let idf = bm25.idf(documents, self.document_frequency(&term)?);
                    query.terms.push(term);
                    query.weights.push((f64::from(frequency) * idf) as f32);
                }
                Ok(query)
            })
            .collect()
    }
}
