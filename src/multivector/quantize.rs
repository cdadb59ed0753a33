//! Floats as the small integers that kernels multiply: rows of a query in 8 bits, tokens in 7, and the two
//! factors of a token, each in a byte on a logarithmic scale. Bytes: storage/FORMAT.md, "Codebook file".

use crate::kernels::tokens::{BIAS, LARGEST_ROW, LARGEST_TOKEN};

/// Appends a row as multiples of its largest value divided by 127, which is returned; 0 for a row of zeros.
pub fn push_row(row: &[f32], bytes: &mut Vec<i8>) -> f32 {
    let largest = largest(row);
    let step = largest / f32::from(LARGEST_ROW);
    if step <= f32::MIN_POSITIVE {
        bytes.resize(bytes.len() + row.len(), 0);
        return 0.0;
    }
    bytes.extend(
        row.iter()
            .map(|value| (value / step).round_ties_even() as i8),
    );
    step
}

/// Appends values as multiples of `step`, at most 63, plus a bias of 64.
pub fn push_token(values: &[f32], step: f32, bytes: &mut Vec<u8>) {
    let limit = f32::from(LARGEST_TOKEN);
    let byte = |value: &f32| {
        let level = (value / step).round_ties_even().clamp(-limit, limit);
        (level as i8).wrapping_add_unsigned(BIAS) as u8
    };
    bytes.extend(values.iter().map(byte));
}

/// The step at which the largest of the values is 63; 1 where all are 0.
pub fn token_step(values: &[f32]) -> f32 {
    let step = largest(values) / f32::from(LARGEST_TOKEN);
    if step > f32::MIN_POSITIVE { step } else { 1.0 }
}

/// What a byte of a token stands for, in steps.
pub fn level(byte: u8) -> f32 {
    f32::from(byte) - f32::from(BIAS)
}

fn largest(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}

/// A factor in a byte: 0, or `top * 2^((byte - 255) / steps)`.
#[derive(Clone, Debug)]
pub struct Factors {
    table: Box<[f32; 256]>,
    top: f32,
    steps: f32,
}

impl Factors {
    /// Lengths of residuals, the longest of which seen so far is `longest`: with room above it for later
    /// ones, and down to a thousandth of it.
    pub fn of_lengths(longest: f32) -> Self {
        Self::new(8.0 * longest.max(f32::MIN_POSITIVE), 20.0)
    }

    /// What a decoded token is scaled by to get its length back: within a factor of about the square
    /// root of 2.
    pub fn of_units() -> Self {
        Self::new(std::f32::consts::SQRT_2, 255.0)
    }

    fn new(top: f32, steps: f32) -> Self {
        let factor = |byte: usize| match byte {
            0 => 0.0,
            byte => top * ((byte as f32 - 255.0) / steps).exp2(),
        };
        Self {
            table: Box::new(std::array::from_fn(factor)),
            top,
            steps,
        }
    }

    /// The table is kept in the codebook: an exponential may differ in its last bit between machines.
    pub fn from_table(table: &[f32; 256]) -> Self {
        Self {
            table: Box::new(*table),
            top: table[255],
            steps: 254.0 / (table[255] / table[1]).log2(),
        }
    }

    pub fn table(&self) -> &[f32; 256] {
        &self.table
    }

    pub fn get(&self, byte: u8) -> f32 {
        self.table[usize::from(byte)]
    }

    /// The byte whose factor is nearest in ratio; 0 for what is far below all of them.
    pub fn nearest(&self, factor: f32) -> u8 {
        let byte = 255.0 + self.steps * (factor / self.top).log2();
        match byte.is_finite() {
            true if byte < 0.5 => u8::from(factor > self.table[1] / 2.0),
            true => byte.round_ties_even().min(255.0) as u8,
            false => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_close_in_ratio() {
        let lengths = Factors::of_lengths(0.8);
        for byte in 1..=255_u8 {
            assert_eq!(lengths.nearest(lengths.get(byte)), byte);
        }
        for (factor, ratio) in [(0.8_f32, 1.018), (0.01, 1.018), (6.4, 1.018)] {
            let found = lengths.get(lengths.nearest(factor));
            assert!(
                found / factor < ratio && factor / found < ratio,
                "{factor} {found}"
            );
        }
        assert_eq!(lengths.nearest(0.0), 0);
        assert_eq!(lengths.nearest(f32::NAN), 0);
        assert_eq!(lengths.get(lengths.nearest(1e9)), 6.4);
        let units = Factors::of_units();
        for factor in [0.75_f32, 1.0, 1.3] {
            let found = units.get(units.nearest(factor));
            assert!((found / factor - 1.0).abs() < 0.0015, "{factor} {found}");
        }
    }

    #[test]
    fn rows_and_tokens_are_rounded_to_their_steps() {
        let mut bytes = vec![];
        assert_eq!(push_row(&[0.0, -0.0], &mut bytes), 0.0);
        let step = push_row(&[0.5, -1.27, 0.014], &mut bytes);
        assert_eq!((step, &bytes[..]), (0.01, &[0_i8, 0, 50, -127, 1][..]));
        let values = [0.63, -0.2, 0.0];
        let mut bytes = vec![];
        push_token(&values, token_step(&values), &mut bytes);
        assert_eq!(bytes, [127, 44, 64]);
        assert_eq!(level(44), -20.0);
    }
}
