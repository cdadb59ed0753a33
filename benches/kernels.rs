//! Speed of the inner loops. `WEFT_CPU=scalar cargo bench --bench kernels` gives the definition's.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft::kernels::{self, Accumulators, WINDOW};

fn window() -> Box<Accumulators> {
    vec![0; WINDOW]
        .try_into()
        .unwrap_or_else(|_| unreachable!())
}

/// One posting list at several densities of a window.
fn accumulate(c: &mut Criterion) {
    let mut group = c.benchmark_group("accumulate");
    for gap in [1, 4, 16, 64, 256] {
        let documents: Vec<u16> = (0..WINDOW).step_by(gap).map(|d| d as u16).collect();
        let impacts: Vec<u8> = documents.iter().map(|d| (d % 255) as u8 + 1).collect();
        let mut scores = window();
        group.throughput(Throughput::Elements(documents.len() as u64));
        group.bench_function(BenchmarkId::new("gap", gap), |b| {
            b.iter(|| kernels::accumulate(&mut scores, black_box(&documents), &impacts, 777));
        });
    }
    group.finish();
}

/// A pass over a window in which little is above the floor.
fn drain_above(c: &mut Criterion) {
    let mut group = c.benchmark_group("drain_above");
    group.throughput(Throughput::Elements(WINDOW as u64));
    let (mut scores, mut found) = (window(), Vec::new());
    group.bench_function(format!("{:?}", kernels::level()), |b| {
        b.iter(|| {
            scores[9] = 5;
            found.clear();
            kernels::drain_above(black_box(&mut scores[..]), 1, &mut found);
        });
    });
    group.finish();
}

criterion_group!(benches, accumulate, drain_above);
criterion_main!(benches);
