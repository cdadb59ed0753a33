//! The codebook of a writer: learned from the first token vectors, or from a sample given before, and
//! again from all when they have drifted away from it.

use std::ops::Range;

use half::f16;

use super::batch::TokenRows;
use super::content::CodebookEntry;
use super::merge;
use super::segment::Segment;
use super::writer::{Known, Writer};
use crate::error::{Error, Result};
use crate::multivector::encode::encode;
use crate::multivector::{Codebook, Codec, decode};
use crate::sketch::Sketcher;

/// Tokens that a codebook is learned from when it is learned again.
const SAMPLED_AGAIN: usize = 1 << 22;

impl Writer {
    pub(super) fn codebook(&self) -> Option<&Codebook> {
        self.codebook.as_ref().map(|known| &known.shared)
    }

    pub(super) fn sketcher(&self) -> Option<&Sketcher> {
        self.sketcher.as_ref().map(|known| &known.shared)
    }

    /// Learns the codebook from a sample, before any token vector is added.
    pub fn train(&mut self, sample: &TokenRows<'_>) -> Result<()> {
        self.check_usable()?;
        let multivector = self.schema.multivector.as_ref();
        let multivector = multivector.ok_or_else(|| {
            Error::SchemaMismatch(
                "this index holds no token vectors to learn a codebook for".into(),
            )
        })?;
        sample.check(multivector.dim)?;
        if self.codebook.is_some() || self.buffer.tokens.tokens() > 0 {
            return Err(Error::InvalidInput(
                "token vectors were added already; train before the first, or call retrain".into(),
            ));
        }
        if sample.values.is_empty() {
            return Err(Error::InvalidInput(
                "the sample has no token vectors".into(),
            ));
        }
        let learned = self.learn_both(sample);
        self.poison_after(learned)
    }

    fn learn_both(&mut self, sample: &TokenRows<'_>) -> Result<()> {
        let offsets = sample.offsets.windows(2);
        let values =
            offsets.map(|pair| pair[0] as usize * sample.dim..pair[1] as usize * sample.dim);
        let codebook = self.learn(sample.values)?;
        let sketcher = self.learn_sketcher(sample.values, &values.collect::<Vec<_>>());
        self.sketcher = sketcher.inspect_err(|_| self.collect())?;
        self.codebook = Some(codebook);
        self.changed = true;
        Ok(())
    }

    /// Learns the codebook from what is buffered, if there is none yet.
    pub(super) fn train_on_buffer(&mut self) -> Result<()> {
        let tokens = &self.buffer.tokens;
        if self.codebook.is_none() && tokens.tokens() > 0 {
            let documents: Vec<_> = (0..tokens.rows() as u32)
                .map(|row| tokens.values(row))
                .collect();
            let sketcher = self.learn_sketcher(tokens.vectors(), &documents)?;
            self.codebook = Some(self.learn(self.buffer.tokens.vectors())?);
            self.sketcher = sketcher;
        }
        Ok(())
    }

    /// Learns what sketches are made by, if the schema asks for some.
    fn learn_sketcher(
        &self,
        values: &[f16],
        documents: &[Range<usize>],
    ) -> Result<Option<Known<Sketcher>>> {
        let (Some(settings), Some(tokens)) = (&self.schema.sketch, &self.schema.multivector) else {
            return Ok(None);
        };
        let sketcher = Sketcher::train(settings, tokens.dim, values, documents, &self.interrupt)?;
        let measured = &documents[..documents.len().min(SKETCHES_MEASURED)];
        let (coded, error) = sketcher.encode(values, measured, &self.interrupt)?;
        let entry = CodebookEntry {
            id: self.sketcher.as_ref().map_or(0, |known| known.entry.id) + 1,
            error: error / coded.count().max(1) as f64,
        };
        Ok(Some(Known {
            file: sketcher.write(&*self.vfs, &entry.file_name("sketch"), self.index)?,
            entry,
            shared: sketcher,
        }))
    }

    fn learn(&self, vectors: &[f16]) -> Result<Known<Codebook>> {
        let codec = self.codec()?;
        let wanted = self
            .schema
            .multivector
            .as_ref()
            .and_then(|schema| schema.centroids);
        let codebook = Codebook::train(&codec, vectors, wanted, &self.interrupt)?;
        let measured = &vectors[..vectors.len().min(MEASURED * codec.dim)];
        let entry = CodebookEntry {
            id: self.codebook.as_ref().map_or(0, |known| known.entry.id) + 1,
            error: encode(&codebook, measured, &self.interrupt)?.errors.mean(),
        };
        Ok(Known {
            file: codebook.write(&*self.vfs, &entry.file_name("multivector"), self.index)?,
            entry,
            shared: codebook,
        })
    }

    fn codec(&self) -> Result<Codec> {
        let missing = || Error::SchemaMismatch("this index holds no token vectors".into());
        self.schema.codec()?.ok_or_else(missing)
    }

    /// Learns the codebook again, from what is stored, codes all token vectors with it, and publishes
    /// the result. Vectors that are stored as codes alone lose a little each time. Takes memory for the
    /// codes of the largest segment.
    pub fn retrain(&mut self) -> Result<u64> {
        self.check_usable()?;
        self.codec()?;
        let retrained = self.write_segment().and_then(|()| self.try_retrain());
        let published = retrained.and_then(|()| self.publish_if_changed());
        self.poison_after(published)
    }

    fn try_retrain(&mut self) -> Result<()> {
        let (values, documents) = self.stored_sample()?;
        if values.is_empty() {
            return Ok(());
        }
        let sketcher = self.learn_sketcher(&values, &documents)?;
        let codebook = self.learn(&values).inspect_err(|_| self.collect())?;
        drop(values);
        let old_sketcher = std::mem::replace(&mut self.sketcher, sketcher);
        let Some(old) = self.codebook.replace(codebook) else {
            return Ok(());
        };
        match self.recode(&old.shared) {
            Ok(segments) => {
                self.segments = segments;
                self.changed = true;
                Ok(())
            }
            Err(error) => {
                self.codebook = Some(old);
                self.sketcher = old_sketcher;
                self.collect();
                Err(error)
            }
        }
    }

    /// The segments, their token vectors coded anew.
    fn recode(&mut self, old: &Codebook) -> Result<Vec<Segment>> {
        let mut segments = vec![];
        for position in 0..self.segments.len() {
            let range = position..position + 1;
            segments.extend(merge::write(self, &self.segments[range], Some(old))?);
            self.next_segment += 1;
        }
        Ok(segments)
    }

    /// Vectors of every so many documents, and which are whose.
    fn stored_sample(&self) -> Result<(Vec<f16>, Vec<Range<usize>>)> {
        let (mut sample, mut documents) = (vec![], vec![]);
        let Some(codebook) = self.codebook() else {
            return Ok((sample, documents));
        };
        let tokens: u64 = self
            .segments
            .iter()
            .map(|segment| segment.entry.vectors)
            .sum();
        let stride = (tokens as usize).div_ceil(SAMPLED_AGAIN).max(1);
        for segment in &self.segments {
            let Some(stored) = &segment.multivector else {
                continue;
            };
            for document in (0..stored.documents()).step_by(stride) {
                if !segment.deleted.contains(document) {
                    let vectors = decode(codebook, stored, stored.tokens(document)?)?;
                    let start = sample.len();
                    sample.extend(vectors.into_iter().map(f16::from_f32));
                    documents.push(start..sample.len());
                }
            }
        }
        Ok((sample, documents))
    }
}

/// Documents whose error stands for that of all.
const SKETCHES_MEASURED: usize = 256;
/// Tokens whose error stands for that of all.
const MEASURED: usize = 1 << 16;
