//! Which instruction set to use: found once per process. `WEFT_CPU=scalar` forces the definition and
//! `WEFT_CPU=avx2` the smaller set, for tests and for bug reports; a set that the processor lacks cannot be
//! forced.

use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Scalar,
    /// AVX2, FMA, F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ, VL, VNNI, and what `Avx2` has.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| match std::env::var("WEFT_CPU").as_deref() {
        Ok("scalar") => Level::Scalar,
        #[cfg(target_arch = "x86_64")]
        Ok("avx2") if has_avx2() => Level::Avx2,
        _ => detect(),
    })
}

#[cfg(target_arch = "x86_64")]
pub fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
pub fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        return Level::Avx512;
    } else if has_avx2() {
        return Level::Avx2;
    }
    Level::Scalar
}
