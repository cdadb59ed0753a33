//! Every instruction set equals the definition, bit for bit; the definitions equal plain arithmetic.

use super::*;
use crate::kernels::dispatch;
use proptest::prelude::*;

/// Calls a kernel of each instruction set that this processor has, after that of `scalar`, and returns what
/// they left, with their names.
macro_rules! on_each {
    (|$module:ident| $call:expr) => {{
        let mut left = vec![("scalar", {
            use super::scalar as $module;
            $call
        })];
        #[cfg(target_arch = "x86_64")]
        if dispatch::has_avx2() {
            left.push(("avx2", {
                use super::avx2 as $module;
                $call
            }));
        }
        #[cfg(target_arch = "x86_64")]
        if dispatch::has_avx512() {
            left.push(("avx512", {
                use super::avx512 as $module;
                $call
            }));
        }
        left
    }};
}

/// All instruction sets left the same as the first, which is returned.
fn same<T: PartialEq + std::fmt::Debug>(left: Vec<(&str, T)>) -> T {
    let mut left = left.into_iter();
    let (_, expected) = left.next().unwrap();
    for (name, found) in left {
        assert_eq!(found, expected, "{name}");
    }
    expected
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn float(&mut self) -> f32 {
        match self.below(12) {
            0 => 0.0,
            1 => -1.0,
            _ => self.next() as f32 / (1_u64 << 30) as f32 - 1.0,
        }
    }

    fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.float()).collect()
    }
}

fn plain_products(rows: &[i8], tokens: &[u8], dim: usize, lanes: usize) -> Vec<i32> {
    let mut all = vec![];
    for token in tokens.chunks(dim) {
        let product = |row: &[i8]| {
            let terms = row
                .iter()
                .zip(token)
                .map(|(r, t)| i32::from(*r) * (i32::from(*t) - 64));
            terms.sum()
        };
        let mut products: Vec<i32> = rows.chunks(dim).map(product).collect();
        products.resize(lanes, 0);
        all.extend(products);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn products_are_those_of_plain_arithmetic(
        rows in 0_usize..70, tokens in 0_usize..20, groups in 1_usize..40, extreme: bool, seed: u64,
    ) {
        let dim = groups * GROUP;
        let mut random = Random(seed);
        let row: Vec<i8> = (0..rows * dim)
            .map(|_| match extreme { true => LARGEST_ROW, false => random.below(255) as i8 })
            .map(|value| value.max(-LARGEST_ROW)).collect();
        let token: Vec<u8> = (0..tokens * dim)
            .map(|_| match extreme { true => BIAS + LARGEST_TOKEN as u8, false => random.below(128) as u8 })
            .collect();
        let byte_rows = ByteRows::new(&row, dim);
        prop_assert_eq!(byte_rows.lanes(), padded(rows));
        let size = tokens * byte_rows.lanes();
        let found = same(on_each!(|isa| {
            let mut products = vec![7; size];
            isa::products(&byte_rows, &token, &mut products);
            products
        }));
        prop_assert_eq!(found, plain_products(&row, &token, dim, byte_rows.lanes()));
    }

    #[test]
    fn float_products_add_in_order(
        rows in 0_usize..40, tokens in 0_usize..11, dim in 1_usize..70, seed: u64,
    ) {
        let mut random = Random(seed);
        let row = random.floats(rows * dim);
        let token = random.floats(tokens * dim);
        let float_rows = FloatRows::new(&row, dim);
        let lanes = float_rows.lanes();
        let found = same(on_each!(|isa| {
            let mut products = vec![7.0; tokens * lanes];
            isa::float_products(&float_rows, &token, &mut products);
            products
        }));
        for (token, products) in token.chunks(dim).zip(found.chunks(lanes.max(1))) {
            for (row, product) in row.chunks(dim).zip(products) {
                let chain = row.iter().zip(token).fold(0.0_f32, |sum, (r, t)| t.mul_add(*r, sum));
                prop_assert_eq!(chain, *product);
            }
        }
    }

    #[test]
    fn raised_to_the_largest(tiles in 1_usize..4, tokens in 0_usize..9, seed: u64) {
        let mut random = Random(seed);
        let lanes = tiles * LANES;
        let start = random.floats(lanes);
        let table = random.floats(5 * lanes);
        let bases: Vec<&[f32]> =
            (0..tokens).map(|_| &table[random.below(5) as usize * lanes..][..lanes]).collect();
        let products: Vec<i32> = (0..tokens * lanes).map(|_| random.below(9) as i32 - 4).collect();
        let mut steps = random.floats(tokens);
        let units = random.floats(tokens);
        let found = same(on_each!(|isa| {
            let mut sums = vec![0.0; tokens * lanes];
            isa::add_steps(&mut sums, lanes, &bases, &products, &steps);
            sums
        }));
        for (at, sum) in found.iter().enumerate() {
            let (token, lane) = (at / lanes, at % lanes);
            prop_assert_eq!(*sum, bases[token][lane] + products[at] as f32 * steps[token]);
        }
        if seed.is_multiple_of(5) && tokens > 1 {
            steps[1] = f32::NAN;
        }
        let found = same(on_each!(|isa| {
            let mut best = start.clone();
            isa::raise(&mut best, &bases, &products, &steps, &units);
            best
        }));
        for (lane, found) in found.iter().enumerate() {
            let product = |t: usize| products[t * lanes + lane] as f32 * steps[t];
            let score = |t: usize| (bases[t][lane] + product(t)) * units[t];
            prop_assert_eq!(*found, (0..tokens).map(score).fold(start[lane], f32::max));
        }
        let floats: Vec<f32> = products.iter().map(|product| *product as f32).collect();
        let found = same(on_each!(|isa| {
            let mut best = start.clone();
            isa::raise_floats(&mut best, &floats);
            best
        }));
        for (lane, found) in found.iter().enumerate() {
            prop_assert_eq!(*found, (0..tokens).map(|t| floats[t * lanes + lane]).fold(start[lane], f32::max));
        }
    }

    #[test]
    fn the_first_of_the_best_is_noted(tiles in 1_usize..3, rows in 0_usize..9, first in 0_u32..5, seed: u64) {
        let mut random = Random(seed);
        let lanes = tiles * LANES;
        let products: Vec<i32> = (0..rows * lanes).map(|_| random.below(5) as i32 - 2).collect();
        let (steps, biases, units) = (random.floats(rows), random.floats(rows), random.floats(lanes));
        let start = random.floats(lanes);
        let found = same(on_each!(|isa| {
            let (mut best, mut which) = (start.clone(), vec![99; lanes]);
            isa::note_best(&mut best, &mut which, &products, first, &steps, &biases, &units);
            (best, which)
        }));
        for lane in 0..lanes {
            let (mut best, mut which) = (start[lane], 99);
            for row in 0..rows {
                let score = products[row * lanes + lane] as f32 * steps[row] - biases[row] * units[lane];
                if score > best {
                    (best, which) = (score, first + row as u32);
                }
            }
            prop_assert_eq!((found.0[lane], found.1[lane]), (best, which));
        }
    }

    #[test]
    fn bytes_are_raised_by_rows_of_a_table(
        tiles in 1_usize..5, rows in 0_usize..9, numbers in prop::collection::vec(0_u16..12, 0..30), seed: u64,
    ) {
        let mut random = Random(seed);
        let lanes = tiles * LANES;
        let table: Vec<u8> = (0..rows * lanes).map(|_| random.below(256) as u8).collect();
        let start: Vec<u8> = (0..lanes).map(|_| random.below(200) as u8).collect();
        let two: Vec<[u8; 2]> = numbers.iter().map(|number| number.to_le_bytes()).collect();
        let wide: Vec<[u8; 3]> = numbers.iter().map(|number| [*number as u8, 0, 0]).collect();
        let found = same(on_each!(|isa| {
            let (mut narrow, mut three) = (start.clone(), start.clone());
            isa::raise_bytes(&mut narrow, &table, &two);
            isa::raise_bytes(&mut three, &table, &wide);
            assert_eq!(narrow, three);
            narrow
        }));
        for (lane, found) in found.iter().enumerate() {
            let values = numbers.iter().filter_map(|n| table.get(usize::from(*n) * lanes + lane));
            prop_assert_eq!(*found, values.copied().fold(start[lane], u8::max));
        }
    }

    #[test]
    fn halves_become_floats(values in prop::collection::vec(-70000.0_f32..70000.0, 0..70), scale in 1e-9_f32..1.0) {
        let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(value * scale)).collect();
        let found = same(on_each!(|isa| {
            let mut floats = vec![7.0; halves.len()];
            isa::widen(&halves, &mut floats);
            floats
        }));
        prop_assert!(found.iter().zip(&halves).all(|(float, half)| *float == half.to_f32()));
    }

    #[test]
    fn halves_that_are_not_finite_are_noticed(bits in prop::collection::vec(any::<u16>(), 0..70), clear: bool) {
        let mask = if clear { !0x0400 } else { !0 };
        let halves: Vec<f16> = bits.iter().map(|bits| f16::from_bits(bits & mask)).collect();
        let found = same(on_each!(|isa| {
            let mut finite = true;
            isa::check_finite(&halves, &mut finite);
            finite
        }));
        prop_assert_eq!(found, halves.iter().all(|half| half.is_finite()));
    }

    #[test]
    fn floats_become_bytes(tiles in 1_usize..4, rows in 0_usize..6, seed: u64) {
        let mut random = Random(seed);
        let lanes = tiles * LANES;
        let mut values = random.floats(rows * lanes);
        values.iter_mut().step_by(7).for_each(|value| *value *= 1e9);
        values.iter_mut().step_by(11).for_each(|value| *value = f32::NAN);
        let factors: Vec<f32> = random.floats(lanes).iter().map(|factor| factor * 400.0).collect();
        let found = same(on_each!(|isa| {
            let mut bytes = vec![9; rows * lanes];
            isa::to_bytes(&values, &factors, &mut bytes);
            bytes
        }));
        for (at, byte) in found.iter().enumerate() {
            let level = (values[at] * factors[at % lanes]).floor();
            prop_assert_eq!(*byte, if level > 0.0 { level.min(255.0) as u8 } else { 0 });
        }
    }

    #[test]
    fn codes_are_expanded(eighth in prop_oneof![1_usize..20, Just(32), Just(48)], bits in 1_usize..5, seed: u64) {
        let mut random = Random(seed);
        let code: Vec<u8> = (0..eighth * bits).map(|_| random.below(256) as u8).collect();
        let table: [u8; 16] = std::array::from_fn(|_| random.below(256) as u8);
        let found = same(on_each!(|isa| {
            let mut tokens = vec![9; 8 * eighth];
            isa::expand(&code, bits, &table, &mut tokens, 8 * eighth);
            tokens
        }));
        for (at, value) in found.iter().enumerate() {
            let (part, offset) = (at / eighth, at % eighth);
            let bit = |byte: usize, bit: usize| usize::from(code[byte * eighth + offset] >> bit & 1);
            let expected = match bits {
                3 => (0..2).map(|i| bit(part % 2, part / 2 * 2 + i) << i).sum::<usize>() + (bit(2, part) << 2),
                _ => (0..bits).map(|i| bit(part % bits, part / bits * bits + i) << i).sum(),
            };
            prop_assert_eq!(*value, table[expected]);
        }
    }

    #[test]
    fn the_nearest_codeword_is_the_first_of_the_nearest(
        dim in 1_usize..10, vectors in 0_usize..9, few: bool, seed: u64,
    ) {
        let mut random = Random(seed);
        let codebook = match few {
            true => (0..dim * 256).map(|_| random.below(2) as f32).collect(),
            false => random.floats(dim * 256),
        };
        let vectors = random.floats(vectors * dim);
        let chain = |codeword: usize, start: f32, with: &dyn Fn(usize) -> f32| {
            (0..dim).fold(start, |sum, i| with(i).mul_add(codebook[i * 256 + codeword], sum))
        };
        let halves = std::array::from_fn(|c| chain(c, 0.0, &|i| codebook[i * 256 + c]) / 2.0);
        let found = same(on_each!(|isa| {
            let mut found = vec![0; vectors.len() / dim];
            isa::nearest(&vectors, &codebook, &halves, &mut found);
            found
        }));
        for (vector, found) in vectors.chunks(dim).zip(found) {
            let scores: Vec<f32> = (0..256).map(|c| chain(c, -halves[c], &|i| vector[i])).collect();
            let best = scores.iter().copied().fold(f32::MIN, f32::max);
            prop_assert_eq!(scores.iter().position(|score| *score == best), Some(usize::from(found)));
        }
    }
}
