//! What the processor is.

use kiln_simd::Level;

/// Its name, where the system tells it, else its architecture.
pub(crate) fn name() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    model_name(&cpuinfo).unwrap_or(std::env::consts::ARCH).to_owned()
}

/// `AMD EPYC` in `model name : AMD EPYC`.
fn model_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    let (_, name) = line.split_once(':')?;
    Some(name.trim()).filter(|name| !name.is_empty())
}

/// The instruction set that [`kiln_simd::native!`] takes for at most this many lanes.
pub(crate) fn instruction_set(max_lanes: u32) -> &'static str {
    let level = Level::new();
    #[cfg(target_arch = "x86_64")]
    return match level {
        Level::Avx512(_) if max_lanes >= 16 => "AVX-512",
        _ if max_lanes >= 8 && level.as_avx2().is_some() => "AVX2",
        _ => "SSE2",
    };
    #[cfg(not(target_arch = "x86_64"))]
    return match (level.is_fallback(), max_lanes) {
        (false, _) if cfg!(target_arch = "aarch64") => "NEON",
        (false, _) => "SIMD",
        (true, _) => "no SIMD",
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_first_model_name() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC 9R14\nmodel name\t: other\n";
        assert_eq!(model_name(cpuinfo), Some("AMD EPYC 9R14"));
        assert_eq!(model_name("model name\t:\n"), None);
        assert_eq!(model_name("Features: fp asimd"), None);
    }

    #[test]
    fn fewer_lanes_are_another_instruction_set() {
        if cfg!(target_arch = "x86_64") {
            assert_eq!(instruction_set(4), "SSE2");
            assert_ne!(instruction_set(8), "AVX-512");
        }
    }
}
