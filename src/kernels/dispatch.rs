//! Which instruction set to use: found once per process. `WEFT_CPU=scalar` forces the definition, for
//! tests and for bug reports; a set that the processor lacks cannot be forced.

use std::sync::OnceLock;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| match std::env::var("WEFT_CPU").as_deref() {
        Ok("scalar") => Level::Scalar,
        _ => detect(),
    })
}

fn detect() -> Level {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return Level::Avx2;
    }
    Level::Scalar
}
