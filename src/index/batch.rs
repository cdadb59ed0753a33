//! Documents as a caller hands them over, and the checks before any of them is taken: after `check` has
//! passed, adding the batch can fail only for want of disk.

use half::f16;
use rustc_hash::FxHashSet;

use super::schema::{AttributeKind, Schema};
use crate::error::{Error, Result};
use crate::storage::keys::{Key, KeyKind, Keys};

/// Term-weight rows in compressed form: row `i` is `indptr[i]..indptr[i + 1]` of terms and weights.
#[derive(Clone, Debug)]
pub struct SparseRows<'a> {
    pub indptr: &'a [i64],
    pub terms: Keys<'a>,
    pub weights: &'a [f32],
}

/// Vectors of 16-bit floats: document `i` has those from `offsets[i]` to `offsets[i + 1]` of `values`.
#[derive(Clone, Copy, Debug)]
pub struct TokenRows<'a> {
    pub dim: usize,
    pub offsets: &'a [i64],
    pub values: &'a [f16],
}

/// One attribute of every document of a batch; `None` where a document has no value.
#[derive(Clone, Debug)]
pub enum Values {
    Keyword(Vec<Option<String>>),
    Int64(Vec<Option<i64>>),
    Float64(Vec<Option<f64>>),
}

#[derive(Clone, Debug)]
pub struct Batch<'a> {
    pub ids: Keys<'a>,
    pub sparse: Option<SparseRows<'a>>,
    pub text: Option<&'a [&'a str]>,
    pub multivector: Option<TokenRows<'a>>,
    /// Attributes not named have no value.
    pub attributes: Vec<(String, Values)>,
}

fn invalid<T>(message: String) -> Result<T> {
    Err(Error::InvalidInput(message))
}

fn mismatch<T>(message: String) -> Result<T> {
    Err(Error::SchemaMismatch(message))
}

impl Batch<'_> {
    pub fn check(&self, schema: &Schema) -> Result<()> {
        check_kind(&self.ids, schema.ids, "ids")?;
        self.check_ids()?;
        self.check_representations(schema)?;
        self.check_multivector(schema)?;
        for (name, values) in &self.attributes {
            check_attribute(name, values, self.ids.len(), schema)?;
        }
        Ok(())
    }

    fn check_ids(&self) -> Result<()> {
        let mut seen = FxHashSet::default();
        for (row, id) in self.ids.iter().enumerate() {
            if let Key::Str(id) = id
                && (id.is_empty() || id.len() > 65_535)
            {
                let length = id.len();
                return invalid(format!(
                    "id of row {row} has {length} bytes; use 1 to 65,535"
                ));
            }
            if !seen.insert(id) {
                return invalid(format!(
                    "row {row}: the id {id} is twice in this batch; keep one of the documents"
                ));
            }
        }
        Ok(())
    }

    fn check_representations(&self, schema: &Schema) -> Result<()> {
        let documents = self.ids.len();
        let given = (&self.sparse, self.text, &schema.sparse);
        match given {
            (None, None, None) => Ok(()),
            (Some(rows), None, Some(sparse)) if sparse.bm25.is_none() => {
                check_kind(&rows.terms, sparse.terms, "terms")?;
                rows.check()?;
                check_rows(rows.rows(), documents, "sparse rows")
            }
            (None, Some(text), Some(sparse)) if sparse.bm25.is_some() => {
                check_rows(text.len(), documents, "texts")
            }
            (_, _, None) => {
                mismatch("this index holds no sparse vectors; pass no sparse=, no text=".into())
            }
            (_, _, Some(sparse)) if sparse.bm25.is_some() => {
                mismatch("this index makes its vectors from text; pass text= and no sparse=".into())
            }
            _ => mismatch("this index holds sparse vectors; pass sparse= and no text=".into()),
        }
    }
}

impl Batch<'_> {
    fn check_multivector(&self, schema: &Schema) -> Result<()> {
        match (&self.multivector, &schema.multivector) {
            (None, None) => Ok(()),
            (Some(_), None) => mismatch("this index holds no token vectors; pass no multivector=".into()),
            (None, Some(_)) if self.ids.is_empty() => Ok(()),
            (None, Some(_)) => {
                mismatch("this index holds token vectors; pass multivector=, with no rows for a document without".into())
            }
            (Some(rows), Some(multivector)) => {
                rows.check(multivector.dim)?;
                check_rows(rows.rows(), self.ids.len(), "documents of token vectors")
            }
        }
    }
}

impl<'a> TokenRows<'a> {
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Vectors of a document that `check` has passed.
    pub fn row(&self, row: usize) -> &'a [f16] {
        let (start, end) = (self.offsets[row] as usize, self.offsets[row + 1] as usize);
        &self.values[start * self.dim..end * self.dim]
    }

    /// Checks everything that later code relies on; the error names document and token.
    pub fn check(&self, dim: usize) -> Result<()> {
        check_dimensions(self.dim, dim)?;
        check_offsets(self.offsets, self.values.len(), dim)?;
        match self.values.iter().position(|value| !value.is_finite()) {
            Some(at) => Err(not_finite(
                self.offsets,
                at / dim,
                at % dim,
                "document",
                "65,504",
            )),
            None => Ok(()),
        }
    }
}

/// Checks that vectors have as many values as those of the index.
pub fn check_dimensions(found: usize, dim: usize) -> Result<()> {
    match found == dim {
        true => Ok(()),
        false => mismatch(format!(
            "token vectors of {found} dimensions, this index has {dim}"
        )),
    }
}

/// Checks that `offsets` cut `values` vectors of `dim` into rows.
pub fn check_offsets(offsets: &[i64], values: usize, dim: usize) -> Result<()> {
    let tokens = (values / dim) as i64;
    let ends = (offsets.first(), offsets.last());
    if ends != (Some(&0), Some(&tokens)) || !values.is_multiple_of(dim) {
        return invalid(format!(
            "offsets must start with 0 and end with the number of vectors, {tokens}; got {ends:?}"
        ));
    }
    match offsets.windows(2).position(|pair| pair[0] > pair[1]) {
        Some(row) => invalid(format!("offsets descend at row {row}")),
        None => Ok(()),
    }
}

/// The error of a value that is not a finite number.
pub fn not_finite(offsets: &[i64], token: usize, position: usize, what: &str, most: &str) -> Error {
    let row = offsets.partition_point(|start| *start <= token as i64) - 1;
    let token = token as i64 - offsets[row];
    Error::InvalidInput(format!(
        "{what} {row}, token {token}: value {position} is not a finite number of at most {most}"
    ))
}

fn check_kind(keys: &Keys<'_>, kind: KeyKind, what: &str) -> Result<()> {
    let name = |kind| match kind {
        KeyKind::Int => "integers",
        KeyKind::Str => "strings",
    };
    if keys.is_empty() || keys.kind() == kind {
        return Ok(());
    }
    let (found, wanted) = (name(keys.kind()), name(kind));
    mismatch(format!(
        "{what} are {found}, this index has {wanted}; convert them, or make the index with the other kind"
    ))
}

fn check_rows(found: usize, documents: usize, what: &str) -> Result<()> {
    if found != documents {
        return invalid(format!(
            "{documents} ids but {found} {what}; pass one for each id"
        ));
    }
    Ok(())
}

fn check_attribute(name: &str, values: &Values, documents: usize, schema: &Schema) -> Result<()> {
    let Some(kind) = schema.attributes.get(name) else {
        let known: Vec<_> = schema.attributes.keys().map(String::as_str).collect();
        let known = known.join(", ");
        return mismatch(format!(
            "no attribute {name:?} in the schema; it has: [{known}]"
        ));
    };
    let (found, length) = match values {
        Values::Keyword(values) => (AttributeKind::Keyword, values.len()),
        Values::Int64(values) => (AttributeKind::Int64, values.len()),
        Values::Float64(values) => (AttributeKind::Float64, values.len()),
    };
    if found != *kind {
        let (found, kind) = (found.name(), kind.name());
        return mismatch(format!(
            "attribute {name:?} holds {kind} values, not {found}"
        ));
    }
    if let Values::Float64(values) = values
        && let Some(row) = values
            .iter()
            .position(|v| v.is_some_and(|v| !v.is_finite()))
    {
        return invalid(format!(
            "attribute {name:?}, row {row}: not a finite number; leave it out (None) instead"
        ));
    }
    check_rows(length, documents, &format!("values of attribute {name:?}"))
}

impl SparseRows<'_> {
    pub fn rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// Term and weight of a row that `check` has passed.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (Key<'_>, f32)> {
        let range = self.indptr[row] as usize..self.indptr[row + 1] as usize;
        range.filter_map(|item| Some((self.terms.get(item)?, self.weights[item])))
    }

    /// Checks everything that later code relies on; the error names row and term.
    pub fn check(&self) -> Result<()> {
        let items = self.terms.len();
        if self.weights.len() != items {
            let weights = self.weights.len();
            return invalid(format!(
                "{items} terms but {weights} weights; pass one for each"
            ));
        }
        let ends = (self.indptr.first(), self.indptr.last());
        if ends != (Some(&0), Some(&(items as i64))) {
            return invalid(format!(
                "indptr must start with 0 and end with {items}, got {ends:?}"
            ));
        }
        if let Some(row) = self.indptr.windows(2).position(|pair| pair[0] > pair[1]) {
            return invalid(format!("indptr descends at row {row}"));
        }
        (0..self.rows()).try_for_each(|row| self.check_row(row))
    }

    fn check_row(&self, row: usize) -> Result<()> {
        let mut previous = None;
        let mut ascending = true;
        for (term, weight) in self.row(row) {
            if !weight.is_finite() || weight < 0.0 {
                return invalid(format!(
                    "row {row}, term {term}: weight {weight}; weights must be finite and not negative"
                ));
            }
            if matches!(term, Key::Int(..0)) {
                return invalid(format!(
                    "row {row}: term {term}; terms must not be negative"
                ));
            }
            if matches!(term, Key::Str(text) if text.len() > 65_535) {
                return invalid(format!("row {row}: a term is longer than 65,535 bytes"));
            }
            ascending &= previous < Some(term);
            previous = Some(term);
        }
        if ascending {
            return Ok(());
        }
        let mut seen = FxHashSet::default();
        match self
            .row(row)
            .map(|(term, _)| term)
            .find(|term| !seen.insert(*term))
        {
            Some(term) => invalid(format!(
                "row {row}: term {term} is there twice; add up its weights"
            )),
            None => Ok(()),
        }
    }
}
