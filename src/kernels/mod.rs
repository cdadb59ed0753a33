//! The inner loops, and the only code with vector instructions. `scalar` defines each kernel; the other
//! files hold the same functions for one instruction set each, equal bit for bit; `dispatch` picks once.
//! To add an instruction set: a file with the same functions, a variant in `dispatch`, its name in
//! `tests`. Imports nothing of the crate.

use bytemuck::{AnyBitPattern, NoUninit};

/// Calls the version of a kernel that the processor has, all of which are defined by one in `scalar`.
macro_rules! compiled {
    ($(#[$doc:meta])* $name:ident $(<$generic:ident: $bound:path>)? ($($argument:ident: $kind:ty),* $(,)?)) => {
        $(#[$doc])*
        pub fn $name $(<$generic: $bound>)? ($($argument: $kind),*) {
            match level() {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512::$name($($argument),*),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2::$name($($argument),*),
                Level::Scalar => scalar::$name($($argument),*),
            }
        }
    };
}

/// Compiles definitions of `scalar` for the instruction sets named first.
#[cfg(target_arch = "x86_64")]
macro_rules! compile {
    ($sets:literal: $(
        fn $name:ident $(<$generic:ident: $bound:path>)? ($($argument:ident: $kind:ty),* $(,)?);
    )*) => {$(
        pub fn $name $(<$generic: $bound>)? ($($argument: $kind),*) {
            #[target_feature(enable = $sets)]
            fn compiled $(<$generic: $bound>)? ($($argument: $kind),*) {
                scalar::$name($($argument),*)
            }
            // SAFETY: `dispatch::level` returns a level only where the processor has its sets.
            unsafe { compiled($($argument),*) }
        }
    )*};
}

#[cfg(target_arch = "x86_64")]
mod avx2;
mod dispatch;
mod scalar;
pub mod sketch;
#[cfg(test)]
mod tests;
pub mod tokens;

pub use dispatch::level;

/// Documents in a window: what 16 bits can number.
pub const WINDOW: usize = 1 << 16;

/// An impact and what it belongs to: of a posting, the slot in the window; of the largest impact of a
/// block, the first posting of the block.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, AnyBitPattern, NoUninit)]
pub struct Impact {
    pub place: u16,
    pub value: u8,
}

/// Adds `weight * value` to the score of each posting, up to the first that is not among the slots from
/// `first` on that have scores; returns how many postings that are. Scattered additions do not vectorise,
/// so the definition is all there is.
pub use scalar::accumulate;

/// Appends `(position, score)` of every score above `floor` and sets all scores to 0.
pub fn drain_above(scores: &mut [u32], floor: u32, found: &mut Vec<(u32, u32)>) {
    match dispatch::level() {
        #[cfg(target_arch = "x86_64")]
        dispatch::Level::Avx2 | dispatch::Level::Avx512 => {
            avx2::drain_above_checked(scores, floor, found)
        }
        dispatch::Level::Scalar => scalar::drain_above(scores, floor, found),
    }
}

/// Adds `weight * value` of maximum `i` of each row to `bounds[i]`; rows are as long as `bounds`.
/// Weights are below 2^15 and the sums below 2^32.
pub fn add_maxima(bounds: &mut [u32], rows: &[(&[Impact], u32)]) {
    match dispatch::level() {
        #[cfg(target_arch = "x86_64")]
        dispatch::Level::Avx2 | dispatch::Level::Avx512 => avx2::add_maxima_checked(bounds, rows),
        dispatch::Level::Scalar => scalar::add_maxima(bounds, rows),
    }
}

/// Appends the largest of every `LANES` bounds, the last of which may be fewer.
pub fn largest_of_lanes(bounds: &[u32], largest: &mut Vec<u32>) {
    match dispatch::level() {
        #[cfg(target_arch = "x86_64")]
        dispatch::Level::Avx2 | dispatch::Level::Avx512 => {
            avx2::largest_of_lanes_checked(bounds, largest)
        }
        dispatch::Level::Scalar => scalar::largest_of_lanes(bounds, largest),
    }
}

/// Bounds that `largest_of_lanes` looks at together.
pub const LANES: usize = 16;

/// Asks for the cache line of a value that is needed soon.
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    avx2::prefetch(value);
}
