//! Which documents of a snapshot a search may return: those that are not deleted and pass its filter.

use fixedbitset::FixedBitSet;

use super::filter;
use super::filter_syntax;
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::sparse::search::Eligible;
use crate::storage::keys::Keys;

/// Which documents a search may return; all conditions hold.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// An expression over attributes.
    pub expression: Option<&'a str>,
    /// External ids; unknown ones are passed over.
    pub subset: Option<Keys<'a>>,
    /// One flag for each live document, in insertion order.
    pub mask: Option<&'a [bool]>,
}

/// Documents of a segment that may be hits.
pub enum Documents<'a> {
    All,
    /// All that are not deleted.
    Live(&'a FixedBitSet),
    Some(FixedBitSet),
}

impl Documents<'_> {
    /// `None` for all.
    pub fn get(&self) -> Option<&FixedBitSet> {
        match self {
            Self::All => None,
            Self::Live(documents) => Some(documents),
            Self::Some(documents) => Some(documents),
        }
    }
}

/// The slots of a segment that such documents lie in.
pub enum Slots<'a> {
    All,
    Live(&'a Eligible),
    Some(Eligible),
}

impl Slots<'_> {
    /// `None` for all.
    pub fn get(&self) -> Option<&Eligible> {
        match self {
            Self::All => None,
            Self::Live(eligible) => Some(eligible),
            Self::Some(eligible) => Some(eligible),
        }
    }
}

impl Snapshot {
    /// The documents of each segment that may be hits.
    pub(super) fn eligible(&self, filter: &Filter<'_>) -> Result<Vec<Documents<'_>>> {
        let expression = filter.expression.map(filter_syntax::parse).transpose()?;
        if let Some(expression) = &expression {
            filter::check(expression, &self.content.schema)?;
        }
        self.check_subset(filter)?;
        let mut mask = filter.mask.map(|mask| mask.iter().copied());
        let eligible = self.segments.iter().map(|segment| {
            let mut allowed = expression.as_ref().map(|e| filter::evaluate(e, segment));
            let mut restrict = |to: FixedBitSet| match &mut allowed {
                Some(allowed) => allowed.intersect_with(&to),
                None => allowed = Some(to),
            };
            let length = segment.entry.documents as usize;
            if let Some(subset) = &filter.subset {
                let mut chosen = FixedBitSet::with_capacity(length);
                let documents = subset.iter().filter_map(|id| segment.find(id));
                documents.for_each(|document| chosen.insert(document as usize));
                restrict(chosen);
            }
            if let Some(mask) = &mut mask {
                let mut chosen = FixedBitSet::with_capacity(length);
                let live = (0..length).filter(|d| !segment.deleted.documents().contains(*d));
                let kept = live.filter(|_| mask.next().unwrap_or(false));
                kept.for_each(|document| chosen.insert(document));
                restrict(chosen);
            }
            match allowed {
                Some(mut allowed) => {
                    allowed.difference_with(segment.deleted.documents());
                    Documents::Some(allowed)
                }
                None if segment.deleted.count() > 0 => Documents::Live(segment.live_documents()),
                None => Documents::All,
            }
        });
        Ok(eligible.collect())
    }

    /// The slots of the documents of each segment.
    pub(super) fn slots(&self, eligible: Vec<Documents<'_>>) -> Result<Vec<Slots<'_>>> {
        let each = self.segments.iter().zip(eligible);
        let slots = each.map(|(segment, documents)| match (&segment.sparse, documents) {
            (None, _) | (_, Documents::All) => Ok(Slots::All),
            (Some(sparse), Documents::Live(_)) => Ok(Slots::Live(segment.live_slots(sparse)?)),
            (Some(sparse), Documents::Some(chosen)) => {
                Ok(Slots::Some(Eligible::new(sparse, &chosen)?))
            }
        });
        slots.collect()
    }

    fn check_subset(&self, filter: &Filter<'_>) -> Result<()> {
        if let Some(mask) = filter.mask
            && mask.len() as u64 != self.len()
        {
            let (flags, documents) = (mask.len(), self.len());
            return Err(Error::InvalidInput(format!(
                "subset: a mask of {flags} flags for {documents} documents; pass one for each"
            )));
        }
        match &filter.subset {
            Some(ids) if !ids.is_empty() && ids.kind() != self.content.schema.ids => {
                Err(Error::SchemaMismatch(
                    "subset: the ids are not of the kind that the index has".into(),
                ))
            }
            _ => Ok(()),
        }
    }
}
