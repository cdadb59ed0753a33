//! Speed of the inner loops. `WEFT_CPU=scalar cargo bench --bench kernels` gives the definition's.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft::kernels::{self, Impact, WINDOW};

fn impact(place: usize) -> Impact {
    Impact {
        place: place as u16,
        value: (place % 255) as u8 + 1,
    }
}

/// The maxima of a query of 32 terms in the blocks of a window.
fn add_maxima(c: &mut Criterion) {
    let mut group = c.benchmark_group("add_maxima");
    for blocks in [256, 1024, 8192] {
        let maxima: Vec<Impact> = (0..blocks).map(impact).collect();
        let rows = vec![(&maxima[..], 777); 32];
        let mut bounds = vec![0; blocks];
        group.throughput(Throughput::Elements((rows.len() * blocks) as u64));
        let name = BenchmarkId::new(format!("{:?}", kernels::level()), blocks);
        group.bench_function(name, |b| {
            b.iter(|| {
                bounds.fill(0);
                kernels::add_maxima(black_box(&mut bounds), &rows);
            });
        });
    }
    group.finish();
}

/// One posting list at several densities of a window.
fn accumulate(c: &mut Criterion) {
    let mut group = c.benchmark_group("accumulate");
    for gap in [1, 4, 16, 64, 256] {
        let postings: Vec<Impact> = (0..WINDOW).step_by(gap).map(impact).collect();
        let mut scores = vec![0; WINDOW];
        group.throughput(Throughput::Elements(postings.len() as u64));
        group.bench_function(BenchmarkId::new("gap", gap), |b| {
            b.iter(|| kernels::accumulate(&mut scores, black_box(&postings), 0, 777));
        });
    }
    group.finish();
}

/// A pass over a window in which little is above the floor.
fn drain_above(c: &mut Criterion) {
    let mut group = c.benchmark_group("drain_above");
    group.throughput(Throughput::Elements(WINDOW as u64));
    let (mut scores, mut found) = (vec![0; WINDOW], Vec::new());
    group.bench_function(format!("{:?}", kernels::level()), |b| {
        b.iter(|| {
            scores[9] = 5;
            found.clear();
            kernels::drain_above(black_box(&mut scores[..]), 1, &mut found);
        });
    });
    group.finish();
}

criterion_group!(benches, accumulate, add_maxima, drain_above);
criterion_main!(benches);
