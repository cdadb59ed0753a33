//! Token vectors: several for each document, scored by MaxSim, the sum over the rows of a query of their
//! largest product with a token (Khattab and Zaharia, ColBERT, 2020).
//!
//! Building: the codebook that all segments share (`codebook`: `rotation`, `centroids` learned from a
//! `sample`, and codecs of `residual`s, `product` or `scalar`, over small integers, `quantize`), vectors
//! waiting in memory (`buffer`) until they are encoded (`encode`) to the columns that `codec` names, and
//! written (`writer`, `reader`, `cells`), and back (`decode`). Searching: a `query` in integers, scores of
//! documents from their codes (`score`), candidates by their centroids (`candidates`), and the way from the
//! one to the other (`search`); `maxsim` takes vectors as they are. Bytes: storage/FORMAT.md, "Multivector
//! file". May import `error`, `topk`, `pool`, `kernels` and `storage`.

mod buffer;
pub mod candidates;
mod cells;
mod centroids;
mod codebook;
mod codec;
mod decode;
pub mod encode;
mod maxsim;
mod product;
mod quantize;
mod query;
mod reader;
mod residual;
mod rotation;
mod sample;
mod scalar;
mod score;
pub mod search;
pub mod writer;

pub use buffer::TokenBuffer;

pub use codebook::{Codebook, rule};
pub use codec::Codec;
pub use decode::decode;
pub use maxsim::maxsim;
pub use query::{Query, is_padding};
pub use reader::MultiVectorSegment;
pub use score::Scorer;
