//! Every instruction set equals the definition, bit for bit; the definitions equal plain arithmetic.

use super::*;
use crate::kernels::dispatch;
use proptest::prelude::*;

/// What a kernel leaves, the same on each instruction set that this processor has.
macro_rules! same {
    (|$module:ident| $call:expr) => {{
        let expected = {
            use super::scalar as $module;
            $call
        };
        #[cfg(target_arch = "x86_64")]
        if dispatch::has_avx2() {
            use super::avx2 as $module;
            prop_assert_eq!(&$call, &expected);
        }
        expected
    }};
}

proptest! {
    #[test]
    fn hadamard_is_the_product_with_the_matrix(
        power in 3_u32..11,
        seed in prop::collection::vec(-100.0_f32..100.0, 1024),
        factors in prop::collection::vec(-2.0_f32..2.0, 1024),
    ) {
        let vector = &seed[..1 << power];
        let found = same!(|m| {
            let mut found = vec![7.0; factors.len()];
            m::hadamard(vector, &factors, &mut found);
            found
        });
        for (found, factors) in found.chunks(vector.len()).zip(factors.chunks(vector.len())) {
            let values: Vec<f32> = vector.iter().zip(factors).map(|(value, factor)| value * factor).collect();
            for (i, found) in found.iter().enumerate() {
                let sign = |j: usize| if (i & j).count_ones() % 2 == 1 { -1.0 } else { 1.0 };
                let terms = values.iter().enumerate().map(|(j, value)| f64::from(*value) * sign(j));
                let size: f64 = values.iter().map(|value| f64::from(value.abs())).sum();
                prop_assert!((f64::from(*found) - terms.sum::<f64>()).abs() <= 1e-5 * size + 1e-5);
            }
        }
    }

    #[test]
    fn sides_say_what_is_above_zero(
        bits in 0_usize..20,
        count in 0_usize..20,
        slack in 0_usize..10,
        seed in prop::collection::vec(prop_oneof![Just(0.0), Just(-0.0), -1.0_f32..1.0], 600),
    ) {
        let width = bits + slack;
        let values = &seed[..(count * width).max(slack) - slack];
        let sides = same!(|m| {
            let mut sides = vec![7; count];
            m::sides(values, width, bits, &mut sides);
            sides
        });
        for (number, sides) in sides.iter().enumerate() {
            let expected = (0..bits).map(|bit| u32::from(values[number * width + bit] > 0.0) << bit);
            prop_assert_eq!(*sides, expected.sum::<u32>());
        }
    }

    #[test]
    fn parts_are_added_to_their_blocks(
        length in 1_usize..40,
        places in prop::collection::vec(0_u32..5, 0..20),
        seed in prop::collection::vec(-1.0_f32..1.0, 820),
    ) {
        let width = length + 1;
        let values = &seed[..places.len() * width];
        let found = same!(|m| {
            let mut blocks = vec![0.5; 5 * length];
            m::add_parts(&mut blocks, &places, values, width, length);
            blocks
        });
        let mut expected = vec![0.0; 5 * length];
        for (number, place) in places.iter().enumerate() {
            for at in 0..length {
                expected[*place as usize * length + at] += values[number * width + at];
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn blocks_are_averaged(
        length in 1_usize..40,
        counts in prop::collection::vec(0_u32..5, 1..20),
        seed in prop::collection::vec(-1.0_f32..1.0, 800),
    ) {
        let values = &seed[..counts.len() * length];
        let found = same!(|m| {
            let mut blocks = values.to_vec();
            m::average(&mut blocks, &counts);
            blocks
        });
        for (at, (found, value)) in found.iter().zip(values).enumerate() {
            let count = counts[at / length].max(1) as f32;
            prop_assert!((found * count - value).abs() < 1e-6);
        }
    }

    #[test]
    fn steps_are_near_the_values(
        values in prop::collection::vec(prop_oneof![Just(0.0), -1.0_f32..1.0, -1e30_f32..1e30], 0..100),
    ) {
        let (numbers, step) = same!(|m| {
            let (mut numbers, mut step) = (vec![7; values.len()], 0.0);
            m::to_steps(&values, &mut numbers, &mut step);
            (numbers, step)
        });
        for (number, value) in numbers.iter().zip(&values) {
            prop_assert!((f32::from(*number) * step - value).abs() <= step * 0.5001);
        }
    }

    #[test]
    fn keys_spread_to_the_nearest_place(
        bits in 0_u32..8,
        lanes in 1_usize..20,
        seed in prop::collection::vec(prop::option::weighted(0.2, 0_u32..100), 256 * 20),
    ) {
        let far = 17 * STEP;
        let keys: Vec<u32> =
            seed[..lanes << bits].iter().map(|key| key.unwrap_or(far)).collect();
        let found = same!(|m| {
            let mut keys = keys.clone();
            m::spread(&mut keys, lanes);
            keys
        });
        for (at, found) in found.iter().enumerate() {
            let (i, lane) = (at / lanes, at % lanes);
            let steps = |j: usize| u64::from((i ^ j).count_ones()) * u64::from(STEP);
            let lane = keys.iter().skip(lane).step_by(lanes).enumerate();
            let least = lane.map(|(j, key)| u64::from(*key) + steps(j)).min();
            prop_assert_eq!(Some(u64::from(*found)), least);
        }
    }

    #[test]
    fn sums_are_those_of_the_tables(
        count in prop_oneof![0_usize..10, 250_usize..520],
        seed in any::<u64>(),
    ) {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as u8
        };
        let codes: Vec<[u8; GROUP]> = (0..7).map(|_| std::array::from_fn(|_| next())).collect();
        let places: Vec<u32> = (0..count).map(|_| u32::from(next()) % 7).collect();
        let tables: Vec<Tables> = (0..count)
            .map(|_| std::array::from_fn(|_| LARGEST_ENTRY - next() % 3 * (next() % 64)))
            .collect();
        let found = same!(|m| {
            let mut sums = [9; GROUP];
            m::add_up(&codes, &places, &tables, &mut sums);
            sums
        });
        for (document, found) in found.iter().enumerate() {
            let terms = places.iter().zip(&tables).map(|(place, table)| {
                let byte = codes[*place as usize][document];
                u32::from(table[usize::from(byte & 15)]) + u32::from(table[16 + usize::from(byte >> 4)])
            });
            prop_assert_eq!(*found, terms.sum::<u32>());
        }
    }
}
