//! The processor's name.

/// The name reported by the system, or else the architecture.
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
}
