//! Codes and scans against plain arithmetic, encodings against their definition.

use fixedbitset::FixedBitSet;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::bases::Bases;
use super::codes::{Bits, Query, Scale, grouped};
use super::fde::{Encoder, Fde, Fill, Order, Shape, Side};
use super::linear::{Matrix, cholesky, orthonormal, principal};
use super::reader::SketchSegment;
use super::search::{Part, scan};
use super::writer::{self, Coded, Merge};
use crate::kernels::sketch::{GROUP, add_up};
use crate::pool::Interrupt;
use crate::storage::manifest::IndexId;
use crate::storage::section::{SectionFile, SectionWriter};
use crate::storage::vfs_sim::SimVfs;
use crate::topk::{Scored, TopK, key};

fn values(count: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![Just(0.0), -1.0_f32..1.0, -100.0_f32..100.0];
    prop::collection::vec(value, count)
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn size(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(value.abs())).sum()
}

/// The product with a code as a scan finds it.
fn scanned(query: &Query, code: &[u8], scale: Scale) -> f64 {
    let mut sums = [0; GROUP];
    add_up(
        &grouped(code, code.len()),
        &query.places,
        &query.tables,
        &mut sums,
    );
    f64::from(query.product(sums[0], scale))
}

proptest! {
    #[test]
    fn four_bits_are_within_half_a_step(sketch in values(48), query in values(48)) {
        let mut code = vec![0; Bits::Four.bytes(48)];
        let scale = Bits::Four.encode(&sketch, &mut code);
        let decoded = Bits::Four.decode(&code, scale, 48);
        for (value, decoded) in sketch.iter().zip(&decoded) {
            prop_assert!((value - decoded).abs() <= scale.step * 0.5001 + 1e-5);
        }
        // What is proven of a scan: half a step for each value of the query, and the rounding of tables.
        let ready = Query::new(&query, Bits::Four);
        let found = scanned(&ready, &code, scale);
        let bound = 0.5001 * f64::from(scale.step) * size(&query) + ready.rounding(scale);
        let slack = 1e-5 * (1.0 + product(&query, &query).sqrt() * product(&sketch, &sketch).sqrt());
        prop_assert!((found - product(&query, &sketch)).abs() <= bound + slack);
    }

    #[test]
    fn a_scan_is_the_product_with_the_code(
        sketch in values(40),
        query in values(40),
        four in any::<bool>(),
    ) {
        let bits = if four { Bits::Four } else { Bits::One };
        let mut code = vec![0; bits.bytes(40)];
        let scale = bits.encode(&sketch, &mut code);
        let decoded = bits.decode(&code, scale, 40);
        let ready = Query::new(&query, bits);
        let exact = product(&query, &decoded);
        let slack = 1e-5 * (1.0 + size(&query) * f64::from(scale.base.abs() + scale.step));
        prop_assert!((scanned(&ready, &code, scale) - exact).abs() <= ready.rounding(scale) + slack);
    }

    #[test]
    fn one_bit_keeps_signs_and_the_mean_size(sketch in values(24)) {
        let mut code = vec![0; 3];
        let scale = Bits::One.encode(&sketch, &mut code);
        let mean = (size(&sketch) / 24.0) as f32;
        for (value, decoded) in sketch.iter().zip(Bits::One.decode(&code, scale, 24)) {
            prop_assert!((decoded.abs() - mean).abs() <= 1e-4 * mean + 1e-6);
            prop_assert!(value.abs() < 1e-6 * mean || *value == 0.0 || decoded * value >= 0.0);
        }
    }

    #[test]
    fn scanning_equals_scoring_every_document(
        seed in any::<u64>(),
        sizes in prop::collection::vec(0_u32..70, 1..4),
        k in 1_usize..50,
        four in any::<bool>(),
        filtered in any::<bool>(),
    ) {
        let bits = if four { Bits::Four } else { Bits::One };
        let mut state = seed;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % limit
        };
        let dimensions = 16;
        let query: Vec<f32> = (0..dimensions).map(|_| below(5) as f32 - 2.0).collect();
        let ready = Query::new(&query, bits);
        let vfs = SimVfs::new();
        let (mut segments, mut eligible, mut expected) = (vec![], vec![], vec![]);
        let mut ordinal = 0;
        for (number, documents) in sizes.iter().enumerate() {
            let mut coded = Coded::new(bits.bytes(dimensions));
            let mut chosen = FixedBitSet::with_capacity(*documents as usize);
            for document in 0..*documents {
                let sketch: Vec<f32> = (0..dimensions).map(|_| below(3) as f32 - 1.0).collect();
                let mut code = vec![0; bits.bytes(dimensions)];
                let some = below(5) > 0;
                let scale = if some { bits.encode(&sketch, &mut code) } else { Scale::NONE };
                chosen.set(document as usize, below(3) > 0);
                if some && (!filtered || chosen.contains(document as usize)) {
                    let score = key(scanned(&ready, &code, scale) as f32);
                    expected.push(Scored { score, ordinal });
                }
                coded.append(Coded { codes: code, scales: vec![scale], bytes: bits.bytes(dimensions) });
                ordinal += 1;
            }
            segments.push(written(&vfs, &format!("segment-{number}.sketch"), &coded, bits, dimensions));
            eligible.push(chosen);
        }
        let mut first_ordinal = 0;
        let mut parts = vec![];
        for ((segment, chosen), documents) in segments.iter().zip(&eligible).zip(&sizes) {
            parts.push(Part { segment, eligible: filtered.then_some(chosen), first_ordinal });
            first_ordinal += u64::from(*documents);
        }
        let mut top = TopK::new(k, 0);
        scan(&ready, &parts, None, &mut top);
        expected.sort_by_key(|scored| (std::cmp::Reverse(scored.score), scored.ordinal));
        expected.truncate(k);
        prop_assert_eq!(top.into_sorted(), expected);
    }

    #[test]
    fn empty_cells_are_filled_from_the_nearest(
        bits in 0_usize..5,
        gray in any::<bool>(),
        first_cell in any::<bool>(),
        vectors in prop::collection::vec(values(8), 1..9),
    ) {
        let shape = Shape {
            dim: 8,
            repetitions: 2,
            bits,
            projection: 8,
            order: if gray { Order::Gray } else { Order::Plain },
            fill: if first_cell && !gray { Fill::FirstCell } else { Fill::FirstVector },
        };
        let fde = Fde::independent(shape.clone(), 3);
        let flat = vectors.concat();
        let mut encoding = vec![0.0; shape.dimensions()];
        Encoder::new(&fde).encode(Side::Document, &flat, &mut encoding);
        // The cell and the projections of a vector are where a query of it alone is not zero.
        let alone: Vec<Vec<f32>> = vectors
            .iter()
            .map(|vector| {
                let mut alone = vec![0.0; shape.dimensions()];
                Encoder::new(&fde).encode(Side::Query, vector, &mut alone);
                alone
            })
            .collect();
        let known = alone.iter().all(|alone| {
            alone.chunks(shape.dimensions() / 2).all(|half| half.iter().any(|value| *value != 0.0))
        });
        prop_assume!(known);
        let sides = |cell: usize| if gray { cell ^ (cell >> 1) } else { cell };
        for repetition in 0..2 {
            let blocks = |values: &[f32]| -> Vec<Vec<f32>> {
                let half = values.chunks(shape.dimensions() / 2).nth(repetition).unwrap();
                half.chunks(8).map(<[f32]>::to_vec).collect()
            };
            let found: Vec<(usize, Vec<f32>)> = alone
                .iter()
                .map(|alone| {
                    let blocks = blocks(alone);
                    let cell = blocks.iter().position(|block| block.iter().any(|v| *v != 0.0)).unwrap();
                    (cell, blocks[cell].clone())
                })
                .collect();
            for (cell, block) in blocks(&encoding).iter().enumerate() {
                let inside: Vec<&Vec<f32>> =
                    found.iter().filter(|(own, _)| *own == cell).map(|(_, block)| block).collect();
                let expected: Vec<f32> = if inside.is_empty() {
                    let nearest = found.iter().enumerate().min_by_key(|(number, (own, _))| {
                        let distance = (sides(*own) ^ sides(cell)).count_ones();
                        let tie = if shape.fill == Fill::FirstCell { *own } else { 0 };
                        (distance, tie, *number)
                    });
                    nearest.unwrap().1.1.clone()
                } else {
                    let share = 1.0 / inside.len() as f32;
                    (0..8).map(|at| inside.iter().map(|block| block[at]).sum::<f32>() * share).collect()
                };
                for (value, expected) in block.iter().zip(&expected) {
                    prop_assert!((value - expected).abs() <= 1e-4 * (1.0 + expected.abs()));
                }
            }
        }
    }
}

fn written(
    vfs: &SimVfs,
    name: &str,
    source: &impl writer::Source,
    bits: Bits,
    dimensions: usize,
) -> SketchSegment {
    let index = IndexId([7; 16]);
    let mut file = SectionWriter::create(vfs, name, index).unwrap();
    writer::write(&mut file, source, &Interrupt::never()).unwrap();
    let entry = file.finish().unwrap();
    let file = SectionFile::open(vfs, &entry, index).unwrap();
    SketchSegment::open(file, bits, dimensions, source.documents()).unwrap()
}

#[test]
fn merging_copies_codes() {
    let vfs = SimVfs::new();
    let coded = |documents: u8| Coded {
        codes: (0..documents * 2)
            .map(|byte| byte.wrapping_mul(37))
            .collect(),
        scales: (0..documents)
            .map(|step| Scale {
                base: -1.0,
                step: f32::from(step),
            })
            .collect(),
        bytes: 2,
    };
    let first = written(&vfs, "segment-1.sketch", &coded(40), Bits::One, 16);
    let second = written(&vfs, "segment-2.sketch", &coded(3), Bits::One, 16);
    let origins = [(0, 39), (2, 1), (1, 0), (0, 32), (0, 0)];
    let merge = Merge {
        segments: vec![Some(&first), None, Some(&second)],
        origins: &origins,
        bytes: 2,
    };
    let merged = written(&vfs, "segment-3.sketch", &merge, Bits::One, 16);
    let code = |segment: &SketchSegment, document| {
        let mut code = [0; 2];
        let scale = segment.copy(document, &mut code).unwrap();
        (code, scale)
    };
    assert_eq!(code(&merged, 0), code(&first, 39));
    assert_eq!(code(&merged, 1), code(&second, 1));
    assert_eq!(code(&merged, 2), ([0; 2], Scale::NONE));
    assert_eq!(code(&merged, 3), code(&first, 32));
    assert_eq!(code(&merged, 4), code(&first, 0));
    assert!(merged.copy(5, &mut [0; 2]).is_err());
    assert_eq!(merged.count(), 4);
}

#[test]
fn rows_of_a_basis_are_orthogonal() {
    for dim in [8, 16, 128] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let bases = Bases::random(dim, 2 * dim, 0.5, &mut random);
        let mut products = vec![];
        let units: Vec<f32> = (0..dim * dim)
            .map(|at| f32::from(u8::from(at % (dim + 1) == 0)))
            .collect();
        bases.multiply(&units, &mut products);
        let column = |basis: usize, unit: usize| &products[unit * 2 * dim + basis * dim..][..dim];
        for basis in 0..2 {
            for (a, b) in [(0, 0), (0, 1), (3, 7), (dim - 1, dim - 1)] {
                let expected = if a == b { 0.25 * dim as f64 } else { 0.0 };
                assert!((product(column(basis, a), column(basis, b)) - expected).abs() < 1e-3);
            }
        }
        let (first, second) = bases.factors().split_at(dim);
        assert!(dim == 8 || first != second);
    }
}

#[test]
fn equations_are_solved() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let rows = orthonormal(40, 40, &mut random);
    let matrix = Matrix::new(
        rows.values()
            .iter()
            .enumerate()
            .map(|(at, v)| v * (1 + at % 7) as f32)
            .collect(),
        40,
    );
    let mut gram = matrix.gram();
    let trace: f64 = matrix
        .values()
        .iter()
        .map(|value| f64::from(*value).powi(2))
        .sum();
    let added = (0.1 * trace / 40.0) as f32;
    gram.raise_diagonal(0.1);
    let lower = cholesky(gram);
    let right = orthonormal(3, 40, &mut random);
    let solved = lower.solve_rows_transposed(&lower.solve_rows(&right));
    // (MᵀM + added) x is what was on the right.
    let back = solved.times_transposed(&matrix).times(&matrix);
    for ((back, solved), right) in back
        .values()
        .iter()
        .zip(solved.values())
        .zip(right.values())
    {
        assert!((back + added * solved - right).abs() < 1e-3);
    }
}

#[test]
fn principal_directions_hold_what_there_is() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let basis = orthonormal(3, 64, &mut random);
    let weights = Matrix::new((0..60).map(|i| (i * i % 17) as f32 - 8.0).collect(), 3);
    let rows = weights.times(&basis);
    let directions = principal(&rows, 8, &mut random);
    let kept = rows.times_transposed(&directions);
    let share = product(kept.values(), kept.values()) / product(rows.values(), rows.values());
    assert!((share - 1.0).abs() < 1e-4, "{share}");
    let gram = directions.times_transposed(&directions);
    for (at, value) in gram.values().iter().enumerate() {
        let expected = if at % 9 == 0 && at / 9 < 3 { 1.0 } else { 0.0 };
        assert!((value - expected).abs() < 1e-4, "{at}");
    }
}
