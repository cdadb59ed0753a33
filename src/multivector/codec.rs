//! What the token vectors of an index are stored as, and in which columns.

use half::f16;

use super::residual::Kind;
use crate::error::{Error, Result};

/// Levels of residual codes, each of what the one before it leaves, and the vectors themselves where
/// `halves`.
#[derive(Clone, Debug, PartialEq)]
pub struct Codec {
    pub dim: usize,
    pub levels: Vec<Kind>,
    pub halves: bool,
}

/// So many bytes of every token, in a section of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: String,
    pub width: usize,
}

impl Codec {
    /// Reads a name such as `pq16`, `scalar4`, `f16`, `pq16+scalar2` or `pq16+f16`.
    pub fn parse(name: &str, dim: usize) -> Result<Self> {
        let (first, second) = match name.split_once('+') {
            Some((first, second)) => (first, Some(second)),
            None => (name, None),
        };
        let mut codec = Self {
            dim,
            levels: vec![],
            halves: false,
        };
        for part in [Some(first), second].into_iter().flatten() {
            match part {
                "f16" => codec.halves = true,
                part => codec.levels.push(Kind::parse(part, dim)?),
            }
        }
        if second.is_some() && (first == "f16" || codec.levels.is_empty()) {
            return Err(Error::InvalidInput(format!(
                "codec {name:?}: nothing refines f16; put the smaller code first, as in \"pq16+f16\""
            )));
        }
        Ok(codec)
    }

    /// The columns of a token where there are `centroids` centroids.
    pub fn columns(&self, centroids: usize) -> Vec<Column> {
        let column = |name: String, width| Column { name, width };
        let number = if centroids <= 1 << 16 { 2 } else { 3 };
        let mut columns = vec![column("centroids".into(), number)];
        for (level, kind) in (1..).zip(&self.levels) {
            columns.push(column(format!("lengths-{level}"), 1));
            columns.push(column(format!("units-{level}"), 1));
            columns.push(column(format!("codes-{level}"), kind.width(self.dim)));
        }
        if self.halves {
            columns.push(column("halves".into(), size_of::<f16>() * self.dim));
        }
        columns
    }

    /// Where the columns of a level begin: lengths, units, codes.
    pub fn level_column(level: usize) -> usize {
        1 + 3 * level
    }

    pub fn halves_column(&self) -> usize {
        Self::level_column(self.levels.len())
    }

    /// Stages of scoring, from coarse to fine.
    pub fn stages(&self) -> usize {
        self.levels.len() + usize::from(self.halves)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        let bytes = |name| {
            let columns = Codec::parse(name, 128).unwrap().columns(8192);
            columns.iter().map(|column| column.width).sum::<usize>()
        };
        let sizes = [
            "pq16",
            "pq32",
            "scalar3",
            "scalar4",
            "pq16+pq16",
            "pq16+f16",
            "f16",
        ]
        .map(bytes);
        assert_eq!(sizes, [20, 36, 52, 68, 38, 276, 258]);
        for name in [
            "",
            "pq",
            "pq0",
            "pq17",
            "scalar5",
            "f16+pq16",
            "f16+f16",
            "pq16+pq16+f16",
            "pq16+",
        ] {
            assert!(Codec::parse(name, 128).is_err(), "{name}");
        }
    }
}
