//! next-plaid behind C functions, so that Python can call and time it like any other engine.
//!
//! Token vectors are rows of f32, one document after the other. The number of threads is taken from RAYON_NUM_THREADS.

#[cfg(feature = "openblas")]
extern crate blas_src;

use ndarray::ArrayView2;
use next_plaid::{IndexConfig, MmapIndex, SearchParameters, UpdateConfig};
use std::ffi::{c_char, CStr};
use std::slice;

/// Builds an index of `documents` documents in a folder that exists; false where that fails.
///
/// # Safety
/// `lengths` points to `documents` numbers of rows, `tokens` to all rows, `folder` to a C string.
#[no_mangle]
pub unsafe extern "C" fn plaid_build(
    tokens: *const f32,
    lengths: *const i64,
    documents: usize,
    dim: usize,
    folder: *const c_char,
    nbits: usize,
) -> bool {
    let lengths = unsafe { slice::from_raw_parts(lengths, documents) };
    let mut next = tokens;
    let mut matrices = Vec::with_capacity(documents);
    for &rows in lengths {
        let values = unsafe { slice::from_raw_parts(next, rows as usize * dim) };
        next = unsafe { next.add(values.len()) };
        matrices.push(ArrayView2::from_shape((rows as usize, dim), values).unwrap().to_owned());
    }
    let folder = unsafe { CStr::from_ptr(folder) }.to_str().unwrap();
    let config = IndexConfig { nbits, seed: Some(42), ..Default::default() };
    reported(MmapIndex::update_or_create(&matrices, folder, &config, &UpdateConfig::default())).is_some()
}

/// Opens an index, which stays open as long as the process; null where that fails.
///
/// # Safety
/// `folder` points to a C string.
#[no_mangle]
pub unsafe extern "C" fn plaid_open(folder: *const c_char) -> *const MmapIndex {
    let folder = unsafe { CStr::from_ptr(folder) }.to_str().unwrap();
    reported(MmapIndex::load(folder)).map_or(std::ptr::null(), |index| Box::into_raw(Box::new(index)))
}

/// Writes the numbers of the best documents for a query of `rows` rows, at most `k`, and returns how many they are; -1 where the
/// search fails.
///
/// # Safety
/// `index` comes from `plaid_open`, `query` points to the rows, `ids` to room for `k` numbers.
#[no_mangle]
pub unsafe extern "C" fn plaid_search(
    index: *const MmapIndex,
    query: *const f32,
    rows: usize,
    dim: usize,
    k: usize,
    n_ivf_probe: usize,
    n_full_scores: usize,
    ids: *mut i64,
) -> i64 {
    let values = unsafe { slice::from_raw_parts(query, rows * dim) };
    let query = ArrayView2::from_shape((rows, dim), values).unwrap().to_owned();
    let parameters = SearchParameters { n_ivf_probe, n_full_scores, top_k: k, ..Default::default() };
    let Some(found) = reported(unsafe { &*index }.search(&query, &parameters, None)) else { return -1 };
    let found = &found.passage_ids[..k.min(found.passage_ids.len())];
    let out = unsafe { slice::from_raw_parts_mut(ids, found.len()) };
    out.copy_from_slice(found);
    found.len() as i64
}

fn reported<T, E: std::fmt::Display>(result: Result<T, E>) -> Option<T> {
    result.inspect_err(|error| eprintln!("next-plaid: {error}")).ok()
}
