//! Fixed-dimensional encodings: one vector for many whose inner products approximate MaxSim (Dhulipala et
//! al., MUVERA, 2024, section 2). In each repetition hyperplanes cut space into cells; a query adds up
//! the projections of its vectors in each cell, a document takes their mean, and fills empty cells from
//! the vector whose cell is nearest.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bases::Bases;
use super::random::{normal, signs};
use crate::error::{Error, Result};
use crate::kernels::sketch::{self, STEP};
use crate::kernels::tokens::{self, FloatRows};

/// The size of an encoding and how it is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub dim: usize,
    pub repetitions: usize,
    /// Hyperplanes of a repetition: it has 2^bits cells.
    pub bits: usize,
    /// Values of a cell.
    pub projection: usize,
    pub order: Order,
    pub fill: Fill,
}

/// How the sides of its hyperplanes number a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first hyperplane is the lowest bit.
    Plain,
    /// The first hyperplane is the highest bit of a Gray code.
    Gray,
}

/// What an empty cell is filled from, among the vectors at the least distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// The first vector.
    FirstVector,
    /// The first vector of the cell of lowest number.
    FirstCell,
}

/// Products with rows.
#[derive(Clone)]
pub enum Rows {
    Bases(Bases),
    Dense(FloatRows),
}

impl Rows {
    fn width(&self) -> usize {
        match self {
            Self::Bases(bases) => bases.width(),
            Self::Dense(rows) => rows.lanes(),
        }
    }

    fn multiply(&self, vectors: &[f32], products: &mut Vec<f32>) {
        match self {
            Self::Bases(bases) => bases.multiply(vectors, products),
            Self::Dense(rows) => {
                products.resize(vectors.len() / rows.dim() * rows.lanes(), 0.0);
                tokens::float_products(rows, vectors, products);
            }
        }
    }
}

#[derive(Clone)]
pub struct Fde {
    shape: Shape,
    hyperplanes: Rows,
    projections: Rows,
    last: Option<Fold>,
}

/// The last projection: each value is added to one of fewer, or subtracted, at random (a count sketch).
#[derive(Clone)]
struct Fold {
    places: Vec<u32>,
    signs: Vec<f32>,
    dimensions: usize,
}

const LONGEST_VECTOR: usize = 1 << 16;
const MOST_BITS: usize = 16;
const MOST_DIMENSIONS: usize = 1 << 20;
/// Of all rows.
const MOST_VALUES: usize = 1 << 27;
const HYPERPLANES: u64 = 1;
const PROJECTIONS: u64 = 2;
const FOLD: u64 = 3;

impl Shape {
    /// As the paper lays encodings out.
    pub fn plain(dim: usize, repetitions: usize, bits: usize, projection: usize) -> Self {
        Self {
            dim,
            repetitions,
            bits,
            projection,
            order: Order::Plain,
            fill: Fill::FirstVector,
        }
    }

    pub fn validate(&self) -> Result<()> {
        let invalid = |message: String| Err(Error::InvalidInput(message));
        if !(1..=LONGEST_VECTOR).contains(&self.dim) {
            return invalid(format!("dim {}: use 1 to {LONGEST_VECTOR}", self.dim));
        }
        if self.bits > MOST_BITS {
            return invalid(format!("bits {}: use 0 to {MOST_BITS}", self.bits));
        }
        if self.repetitions == 0 || self.projection == 0 {
            return invalid("repetitions and projection must be at least 1".into());
        }
        let dimensions = (self.repetitions)
            .checked_mul(self.projection)
            .and_then(|product| product.checked_mul(1 << self.bits));
        if dimensions.is_none_or(|dimensions| dimensions > MOST_DIMENSIONS) {
            return invalid(format!(
                "{} repetitions of 2^{} cells of {} values are more than {MOST_DIMENSIONS} dimensions",
                self.repetitions, self.bits, self.projection
            ));
        }
        let rows = self.hyperplanes() + self.projections();
        if rows * self.dim > MOST_VALUES {
            return invalid(format!(
                "{rows} random rows of {} values; use fewer repetitions, bits or projections",
                self.dim
            ));
        }
        Ok(())
    }

    pub fn cells(&self) -> usize {
        1 << self.bits
    }

    pub fn dimensions(&self) -> usize {
        self.repetitions * self.cells() * self.projection
    }

    pub fn hyperplanes(&self) -> usize {
        self.repetitions * self.bits
    }

    pub fn projections(&self) -> usize {
        self.repetitions * self.projection
    }

    /// The length of the values of a projection.
    fn scale(&self) -> f32 {
        1.0 / (self.projection as f32).sqrt()
    }
}

impl Fde {
    /// Rows of random orthogonal bases.
    pub fn orthogonal(shape: Shape, seed: u64) -> Self {
        let bases = |rows, scale, purpose| {
            let mut random = stream(seed, purpose);
            Rows::Bases(Bases::random(shape.dim, rows, scale, &mut random))
        };
        Self {
            hyperplanes: bases(shape.hyperplanes(), 1.0, HYPERPLANES),
            projections: bases(shape.projections(), shape.scale(), PROJECTIONS),
            last: None,
            shape,
        }
    }

    /// Independent rows: normal for the hyperplanes, 1 or -1, scaled, for the projections; vectors as they
    /// are where a projection has as many values.
    pub fn independent(shape: Shape, seed: u64) -> Self {
        let mut random = stream(seed, HYPERPLANES);
        let hyperplanes = normal(shape.hyperplanes() * shape.dim, &mut random);
        let mut random = stream(seed, PROJECTIONS);
        let projections = match shape.projection == shape.dim {
            true => identities(shape.repetitions, shape.dim),
            false => {
                let signs = signs(shape.projections() * shape.dim, &mut random);
                signs.iter().map(|sign| sign * shape.scale()).collect()
            }
        };
        Self::given(shape, &hyperplanes, &projections)
    }

    /// Rows that are given, one after the other.
    pub fn given(shape: Shape, hyperplanes: &[f32], projections: &[f32]) -> Self {
        let dense = |rows: &[f32]| Rows::Dense(FloatRows::new(rows, shape.dim));
        Self {
            hyperplanes: dense(hyperplanes),
            projections: dense(projections),
            last: None,
            shape,
        }
    }

    /// From what was stored: factors of orthogonal bases, or rows.
    pub fn stored(
        shape: Shape,
        orthogonal: bool,
        hyperplanes: Vec<f32>,
        projections: Vec<f32>,
    ) -> Self {
        if !orthogonal {
            return Self::given(shape, &hyperplanes, &projections);
        }
        let bases = |factors| Rows::Bases(Bases::from_factors(shape.dim, factors));
        Self {
            hyperplanes: bases(hyperplanes),
            projections: bases(projections),
            last: None,
            shape,
        }
    }

    /// Adds a last projection to fewer dimensions.
    pub fn folded(mut self, dimensions: usize, seed: u64) -> Self {
        let mut random = stream(seed, FOLD);
        let count = self.shape.dimensions();
        let place = |_| random.random_range(0..dimensions as u32);
        self.last = Some(Fold {
            places: (0..count).map(place).collect(),
            signs: signs(count, &mut random),
            dimensions,
        });
        self
    }

    /// Values of an encoding, after the last projection if there is one.
    pub fn dimensions(&self) -> usize {
        self.last
            .as_ref()
            .map_or(self.shape.dimensions(), |fold| fold.dimensions)
    }

    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    pub fn rows(&self) -> (&Rows, &Rows) {
        (&self.hyperplanes, &self.projections)
    }
}

/// So many identity matrices below one another.
fn identities(count: usize, dim: usize) -> Vec<f32> {
    let value = |at: usize| f32::from(u8::from(at / dim % dim == at % dim));
    (0..count * dim * dim).map(value).collect()
}

fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose);
    random
}

/// What an encoding is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Query,
    Document,
}

/// Encodes one set of vectors after the other.
pub struct Encoder<'a> {
    fde: &'a Fde,
    /// `[vector][row]`.
    sides: Vec<f32>,
    projected: Vec<f32>,
    /// `[repetition][vector]`: the cell of a vector.
    cells: Vec<u32>,
    /// `[repetition][cell]`: how many vectors a cell has, and the first of them.
    counts: Vec<u32>,
    first: Vec<u32>,
    /// `[sides][repetition]`: what the vector is found by that an empty cell is filled from.
    nearest: Vec<u32>,
    folded: Vec<f32>,
}

/// Above all distances there are.
const FAR: u32 = (MOST_BITS as u32 + 1) * STEP;
/// A set has no more vectors.
pub const MOST_VECTORS: usize = STEP as usize;

impl<'a> Encoder<'a> {
    pub fn new(fde: &'a Fde) -> Self {
        Self {
            fde,
            sides: vec![],
            projected: vec![],
            cells: vec![],
            counts: vec![],
            first: vec![],
            nearest: vec![],
            folded: vec![],
        }
    }

    /// Writes an encoding, from at most `MOST_VECTORS` vectors one after the other; zeros when there are
    /// none. Vectors of zeros add nothing to that of a query.
    pub fn encode(&mut self, side: Side, vectors: &[f32], encoding: &mut [f32]) {
        let shape = &self.fde.shape;
        let count = vectors.len() / shape.dim;
        if count == 0 {
            return encoding.fill(0.0);
        }
        self.fde.hyperplanes.multiply(vectors, &mut self.sides);
        self.fde.projections.multiply(vectors, &mut self.projected);
        self.place(count);
        let mean = side == Side::Document;
        if mean && self.counts.contains(&0) {
            self.find_nearest();
        }
        let width = self.fde.projections.width();
        let encodings = encoding.chunks_exact_mut(shape.cells() * shape.projection);
        for (repetition, blocks) in encodings.enumerate() {
            let values = &self.projected[repetition * shape.projection..];
            let cells = &self.cells[repetition * count..][..count];
            sketch::add_parts(blocks, cells, values, width, shape.projection);
            if !mean {
                continue;
            }
            let counts = &self.counts[repetition * shape.cells()..][..shape.cells()];
            sketch::average(blocks, counts);
            for (cell, _) in counts.iter().enumerate().filter(|(_, count)| **count == 0) {
                let vector = self.nearest_to(repetition, cell);
                let block = &mut blocks[cell * shape.projection..][..shape.projection];
                copy(&values[vector * width..][..shape.projection], block);
            }
        }
    }

    pub fn is_folded(&self) -> bool {
        self.fde.last.is_some()
    }

    /// An encoding after the last projection; itself where there is none.
    pub fn folded<'b>(&'b mut self, encoding: &'b [f32]) -> &'b [f32] {
        let Some(fold) = &self.fde.last else {
            return encoding;
        };
        self.folded.clear();
        self.folded.resize(fold.dimensions, 0.0);
        let each = encoding.iter().zip(&fold.places).zip(&fold.signs);
        for ((value, place), sign) in each {
            self.folded[*place as usize] += value * sign;
        }
        &self.folded
    }

    /// Finds the cells of the vectors.
    fn place(&mut self, count: usize) {
        let shape = &self.fde.shape;
        self.cells.resize(shape.repetitions * count, 0);
        self.counts.clear();
        self.counts.resize(shape.repetitions * shape.cells(), 0);
        self.first.resize(self.counts.len(), 0);
        let firsts = self.first.chunks_exact_mut(shape.cells());
        let numbers = self.counts.chunks_exact_mut(shape.cells()).zip(firsts);
        let cells = self.cells.chunks_exact_mut(count);
        for (repetition, (cells, (counts, first))) in cells.zip(numbers).enumerate() {
            let products = self
                .sides
                .get(repetition * shape.bits..)
                .unwrap_or_default();
            sketch::sides(products, self.fde.hyperplanes.width(), shape.bits, cells);
            if shape.order == Order::Gray {
                cells
                    .iter_mut()
                    .for_each(|cell| *cell = shape.order.cell(*cell, shape.bits));
            }
            for (vector, cell) in (0..count as u32).zip(&*cells).rev() {
                counts[*cell as usize] += 1;
                first[*cell as usize] = vector;
            }
        }
    }

    /// Finds what empty cells are filled from, for all cells.
    fn find_nearest(&mut self) {
        let shape = &self.fde.shape;
        let (repetitions, cells) = (shape.repetitions, shape.cells());
        self.nearest.resize(repetitions * cells, FAR);
        for cell in 0..cells {
            let keys = &mut self.nearest[shape.order.sides(cell) * repetitions..][..repetitions];
            let places = (cell..).step_by(cells);
            for (key, place) in keys.iter_mut().zip(places) {
                *key = match (self.counts[place], shape.fill) {
                    (0, _) => FAR,
                    (_, Fill::FirstVector) => self.first[place],
                    (_, Fill::FirstCell) => cell as u32,
                };
            }
        }
        sketch::spread(&mut self.nearest, repetitions);
    }

    /// The vector that an empty cell is filled from.
    fn nearest_to(&self, repetition: usize, cell: usize) -> usize {
        let shape = &self.fde.shape;
        let place = shape.order.sides(cell) * shape.repetitions + repetition;
        let found = self.nearest[place] % STEP;
        let vector = match shape.fill {
            Fill::FirstVector => found,
            Fill::FirstCell => self.first[repetition * shape.cells() + found as usize],
        };
        vector as usize
    }
}

/// Copies a few values, for which a call takes longer than the copying.
fn copy(from: &[f32], to: &mut [f32]) {
    const LANES: usize = 8;
    let (whole, rest) = from.as_chunks::<LANES>();
    let (to_whole, to_rest) = to.as_chunks_mut::<LANES>();
    to_whole
        .iter_mut()
        .zip(whole)
        .for_each(|(to, from)| *to = *from);
    to_rest
        .iter_mut()
        .zip(rest)
        .for_each(|(to, from)| *to = *from);
}

impl Order {
    /// The number of the cell that lies above the hyperplanes whose bits are set, the first lowest.
    fn cell(self, sides: u32, bits: usize) -> u32 {
        match self {
            Self::Plain => sides,
            Self::Gray => (0..bits).fold(0, |cell, bit| 2 * cell + (sides >> bit & 1 ^ cell & 1)),
        }
    }

    /// A number of the cell whose bits are the sides, in some order, so that distances count bits.
    fn sides(self, cell: usize) -> usize {
        match self {
            Self::Plain => cell,
            Self::Gray => cell ^ (cell >> 1),
        }
    }
}
