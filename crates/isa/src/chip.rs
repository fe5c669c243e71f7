//! The GPUs that kernels are compiled for, and a model of the share of their peak that a loop can reach.

use crate::assembly::Loop;

/// The properties of a GPU that the model uses. A compute unit is AMD's name for the part that runs workgroups. Throughputs are per
/// compute unit and clock cycle.
#[derive(Clone, Copy, Debug)]
pub struct Chip {
    /// RADV's name of the chip.
    pub name: &'static str,
    /// The architecture.
    pub architecture: &'static str,
    /// SIMD units per compute unit.
    simds: u32,
    /// Registers of a lane in a SIMD unit, shared by its waves of 64 lanes.
    registers: u32,
    /// The most waves of a SIMD unit.
    most_waves: u32,
    /// The workgroup memory of a compute unit in bytes.
    shared_bytes: u32,
    /// Multiply-adds of f32.
    multiply_adds: f64,
    /// Other vector operations, in lanes.
    operations: f64,
    /// Bytes loaded from buffers through the first cache.
    cache_bytes: f64,
    /// Bytes loaded from or stored to workgroup memory.
    shared_rate: f64,
}

/// RDNA3 (Radeon RX 7900), RDNA2 (Radeon RX 6900) and CDNA2 (Instinct MI200).
///
/// RDNA3 issues two multiply-adds of f32 at once, but one other operation. The packed multiply-adds of CDNA2, which
/// would double its peak, are not counted: RADV does not generate them for our kernels.
pub const CHIPS: [Chip; 3] = [
    Chip {
        name: "navi31",
        architecture: "RDNA3",
        simds: 2,
        registers: 768,
        most_waves: 16,
        shared_bytes: 64 << 10,
        multiply_adds: 128.0,
        operations: 64.0,
        cache_bytes: 128.0,
        shared_rate: 128.0,
    },
    Chip {
        name: "navi21",
        architecture: "RDNA2",
        simds: 2,
        registers: 512,
        most_waves: 16,
        shared_bytes: 64 << 10,
        multiply_adds: 64.0,
        operations: 64.0,
        cache_bytes: 128.0,
        shared_rate: 128.0,
    },
    Chip {
        name: "MI200",
        architecture: "CDNA2",
        simds: 4,
        registers: 512,
        most_waves: 8,
        shared_bytes: 64 << 10,
        multiply_adds: 64.0,
        operations: 64.0,
        cache_bytes: 64.0,
        shared_rate: 128.0,
    },
];

/// The lanes of a wave for which the model is made.
const WAVE: u32 = 64;

impl Chip {
    /// The waves of a SIMD unit, as far as registers and workgroup memory allow.
    pub fn waves(&self, registers: u32, shared_bytes: u32, invocations: u32) -> f64 {
        let by_registers = f64::from((self.registers / registers.max(1)).min(self.most_waves));
        if shared_bytes == 0 {
            return by_registers;
        }
        let workgroups = self.shared_bytes / shared_bytes;
        let by_memory = f64::from(workgroups * invocations.div_ceil(WAVE)) / f64::from(self.simds);
        by_registers.min(by_memory)
    }

    /// The share of the peak in multiply-adds that a loop can reach if every wait is hidden: limited by the instructions
    /// issued, by the bytes loaded through the cache, or by the bytes moved from and to workgroup memory. A model's
    /// bound, not a measurement.
    pub fn bound(&self, of: &Loop) -> f64 {
        let lanes = f64::from(WAVE);
        let computed = lanes * f64::from(of.multiply_add_instructions) / self.multiply_adds;
        let issued = computed + lanes * f64::from(of.other_vector) / self.operations;
        let loaded = lanes * f64::from(of.loaded()) / self.cache_bytes;
        let shared = lanes * f64::from(of.shared_loaded() + of.shared_stored) / self.shared_rate;
        let cycles = issued.max(loaded).max(shared);
        if cycles > 0.0 { lanes * f64::from(of.multiply_adds) / self.multiply_adds / cycles } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-3
    }

    #[test]
    fn the_scarcest_of_issue_cache_and_workgroup_memory_bounds_a_loop() {
        let [navi31, navi21, mi200] = CHIPS;
        let quads = Loop { multiply_adds: 128, multiply_add_instructions: 128, ..Loop::default() };
        assert!(near(navi31.bound(&quads), 1.0));
        let loads = Loop { loads: BTreeMap::from([(128, 12)]), ..quads.clone() };
        assert!(near(navi31.bound(&loads), 128.0 / 192.0));
        assert!(near(navi21.bound(&loads), 1.0));
        assert!(near(mi200.bound(&loads), 128.0 / 192.0));
        let shared = Loop { shared_loads: BTreeMap::from([(128, 12)]), shared_stored: 64, ..quads.clone() };
        assert!(near(navi31.bound(&shared), 128.0 / 256.0));
        let masks = Loop { other_vector: 64, ..quads };
        assert!(near(navi31.bound(&masks), 0.5));
        assert!(near(navi21.bound(&masks), 128.0 / 192.0));
        assert!(near(navi21.bound(&Loop::default()), 0.0));
    }

    #[test]
    fn registers_and_workgroup_memory_limit_the_waves() {
        let [navi31, _, mi200] = CHIPS;
        assert!(near(navi31.waves(168, 0, 64), 4.0));
        assert!(near(navi31.waves(12, 0, 64), 16.0));
        assert!(near(navi31.waves(12, 9216, 64), 3.5));
        assert!(near(mi200.waves(12, 9216, 256), 7.0));
    }
}
