//! Random numbers that are the same on every machine.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Normal variates of variance 1 (Box and Muller, 1958).
pub fn normal(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count + 1);
    while numbers.len() < count {
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * random.random::<f64>();
        numbers.push((radius * angle.cos()) as f32);
        numbers.push((radius * angle.sin()) as f32);
    }
    numbers.truncate(count);
    numbers
}

pub fn signs(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let sign = |_| if random.random::<bool>() { 1.0 } else { -1.0 };
    (0..count).map(sign).collect()
}
