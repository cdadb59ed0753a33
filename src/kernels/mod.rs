//! The inner loops, and the only code with vector instructions. `scalar` defines each kernel; the other
//! files hold the same functions for one instruction set each, equal bit for bit; `dispatch` picks once.
//! To add an instruction set: a file with the same functions, a variant in `dispatch`, its name in
//! `tests`. Imports nothing of the crate.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dispatch;
mod scalar;
#[cfg(test)]
mod tests;

pub use dispatch::level;

/// Documents in a window: what 16 bits can number.
pub const WINDOW: usize = 1 << 16;

/// One score for each document of a window.
pub type Accumulators = [u32; WINDOW];

/// Adds `weight * impact` to the accumulator of each posting; returns the largest document among them.
/// Scattered additions do not vectorise, so the definition is all there is.
pub use scalar::accumulate;

/// Appends `(position, score)` of every score above `floor` and sets all scores to 0.
pub fn drain_above(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    match dispatch::level() {
        #[cfg(target_arch = "x86_64")]
        dispatch::Level::Avx2 => avx2::drain_above_checked(scores, floor, found),
        dispatch::Level::Scalar => scalar::drain_above(scores, floor, found),
    }
}
