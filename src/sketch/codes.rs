//! Codes of sketches with 1 or 4 bits a value, and the inner product of a query with them. A value is
//! `base + step * number`, with a base and a step for each document (Aguerrebere et al., LVQ, 2023); with
//! one bit they are those of a sign times the mean size. Bytes: storage/FORMAT.md, "Sketch file".

use crate::kernels::sketch::{GROUP, LARGEST_ENTRY, Tables};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    One,
    Four,
}

/// What the numbers of a code stand for.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Scale {
    pub base: f32,
    pub step: f32,
}

impl Scale {
    /// Of a document without token vectors: it has no sketch.
    pub const NONE: Self = Self {
        base: 0.0,
        step: -1.0,
    };

    pub fn is_none(self) -> bool {
        self.step < 0.0
    }
}

impl Bits {
    pub fn new(bits: usize) -> Option<Self> {
        match bits {
            1 => Some(Self::One),
            4 => Some(Self::Four),
            _ => None,
        }
    }

    /// Values in half a byte.
    fn values(self) -> usize {
        match self {
            Self::One => 4,
            Self::Four => 1,
        }
    }

    /// Bytes of the code of so many values.
    pub fn bytes(self, dimensions: usize) -> usize {
        dimensions.div_ceil(2 * self.values())
    }

    /// Writes the code of a sketch.
    pub fn encode(self, sketch: &[f32], code: &mut [u8]) -> Scale {
        let scale = match self {
            Self::One => sign_scale(sketch),
            Self::Four => range_scale(sketch),
        };
        let most = match self {
            Self::One => 1,
            Self::Four => 15,
        };
        let per_step = if scale.step > 0.0 {
            1.0 / scale.step
        } else {
            0.0
        };
        // A cast rounds down, and never below 0.
        let number = |value: &f32| (((value - scale.base) * per_step + 0.5) as u8).min(most);
        let bits = 4 / self.values();
        for (byte, values) in code.iter_mut().zip(sketch.chunks(2 * self.values())) {
            let numbers = values.iter().enumerate();
            *byte = numbers.fold(0, |byte, (at, value)| byte | number(value) << (at * bits));
        }
        scale
    }

    /// The values that a code stands for.
    pub fn decode(self, code: &[u8], scale: Scale, dimensions: usize) -> Vec<f32> {
        let bits = 4 / self.values();
        let mask = (1_u16 << bits) as u8 - 1;
        let value = |at: usize| {
            let byte = code[at / (2 * self.values())];
            let number = byte >> (at % (2 * self.values()) * bits) & mask;
            scale.base + scale.step * f32::from(number)
        };
        (0..dimensions).map(value).collect()
    }
}

/// The sign times the mean size.
fn sign_scale(sketch: &[f32]) -> Scale {
    let sum: f64 = sketch.iter().map(|value| f64::from(value.abs())).sum();
    let mean = (sum / sketch.len().max(1) as f64) as f32;
    Scale {
        base: -mean,
        step: 2.0 * mean,
    }
}

/// Sixteen levels from the least to the largest value.
fn range_scale(sketch: &[f32]) -> Scale {
    let least = sketch.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = sketch.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    Scale {
        base: least,
        step: (largest - least) / 15.0,
    }
}

/// A query as tables of what half a byte of a code adds to its product, in steps of one size.
pub struct Query {
    /// Bytes of a code that the query has a value for; the others are not looked at.
    pub places: Vec<u32>,
    pub tables: Vec<Tables>,
    /// The size of a step, and what all tables leave out.
    step: f64,
    least: f64,
    /// The sum of all values.
    total: f64,
}

impl Query {
    pub fn new(sketch: &[f32], bits: Bits) -> Self {
        let width = bits.values();
        let halves: Vec<(f32, f32)> = sketch.chunks(width).map(extent).collect();
        let widest = halves.iter().fold(0.0_f32, |widest, (least, largest)| {
            widest.max(largest - least)
        });
        let step = match bits {
            Bits::One => f64::from(widest),
            Bits::Four => 15.0 * f64::from(widest),
        } / f64::from(LARGEST_ENTRY);
        let mut query = Self {
            places: vec![],
            tables: vec![],
            step,
            least: 0.0,
            total: sketch.iter().map(|value| f64::from(*value)).sum(),
        };
        for (place, values) in (0..).zip(sketch.chunks(2 * width)) {
            if values.iter().all(|value| *value == 0.0) {
                continue;
            }
            let mut table = [0; 32];
            for (half, values) in table.chunks_exact_mut(16).zip(values.chunks(width)) {
                query.least += entries(values, bits, step, half);
            }
            query.places.push(place);
            query.tables.push(table);
        }
        query
    }

    /// The product with a document whose code adds up to `sum`.
    pub fn product(&self, sum: u32, scale: Scale) -> f32 {
        let numbers = self.least + self.step * f64::from(sum);
        (f64::from(scale.base) * self.total + f64::from(scale.step) * numbers) as f32
    }

    /// No product is further from that with the values of the code.
    #[cfg(test)]
    pub fn rounding(&self, scale: Scale) -> f64 {
        self.places.len() as f64 * self.step * f64::from(scale.step)
    }
}

/// The least and the largest sum of some of the values.
fn extent(values: &[f32]) -> (f32, f32) {
    values.iter().fold((0.0, 0.0), |(least, largest), value| {
        (least + value.min(0.0), largest + value.max(0.0))
    })
}

/// Fills the entries of half a byte, in steps above the least, which is returned.
fn entries(values: &[f32], bits: Bits, step: f64, half: &mut [u8]) -> f64 {
    let (least, _) = extent(values);
    let least = match bits {
        Bits::One => f64::from(least),
        Bits::Four => 15.0 * f64::from(least),
    };
    for (number, entry) in (0_u32..).zip(half) {
        let sum: f64 = match bits {
            Bits::One => (0..)
                .zip(values)
                .map(|(bit, value)| f64::from(number >> bit & 1) * f64::from(*value))
                .sum(),
            Bits::Four => values
                .iter()
                .map(|value| f64::from(number) * f64::from(*value))
                .sum(),
        };
        *entry = ((sum - least) / step).round() as u8;
    }
    least
}

/// Codes of documents as they are scanned: `[group][byte][document]`.
pub fn grouped(codes: &[u8], bytes: usize) -> Vec<[u8; GROUP]> {
    let documents = codes.len() / bytes.max(1);
    let mut grouped = vec![[0; GROUP]; documents.div_ceil(GROUP) * bytes];
    for (document, code) in codes.chunks_exact(bytes.max(1)).enumerate() {
        let group = &mut grouped[document / GROUP * bytes..][..bytes];
        for (lanes, byte) in group.iter_mut().zip(code) {
            lanes[document % GROUP] = *byte;
        }
    }
    grouped
}
