//! The instructions of the loop in which a kernel spends its time, from RADV's disassembly.

use std::collections::{BTreeMap, HashMap};

/// The instructions of one iteration of a loop, per invocation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loop {
    /// Multiply-adds of f32.
    pub multiply_adds: u32,
    /// Instructions that compute them; a packed one computes two.
    pub multiply_add_instructions: u32,
    /// All other vector instructions: addresses, masks, moves.
    pub other_vector: u32,
    /// Loads from buffers: count by width in bits.
    pub loads: BTreeMap<u32, u32>,
    /// Loads from workgroup memory: count by width in bits.
    pub shared_loads: BTreeMap<u32, u32>,
    /// Bytes stored to workgroup memory.
    pub shared_stored: u32,
    /// Waits for memory.
    pub waits: u32,
}

impl Loop {
    /// Bytes loaded from buffers.
    pub fn loaded(&self) -> u32 {
        bytes(&self.loads)
    }

    /// Bytes loaded from workgroup memory.
    pub fn shared_loaded(&self) -> u32 {
        bytes(&self.shared_loads)
    }

    /// The share of multiply-adds in the vector instructions.
    pub fn share(&self) -> f64 {
        let all = self.multiply_add_instructions + self.other_vector;
        f64::from(self.multiply_add_instructions) / f64::from(all.max(1))
    }

    fn count(&mut self, line: &str) {
        // RDNA3 issues two operations at once in wave32: `v_dual_fmac_f32 v1, v2, v3 :: v_dual_mov_b32 v4, v5`.
        for part in line.split("::") {
            let Some(name) = part.split_whitespace().next() else { continue };
            self.count_operation(name);
        }
    }

    fn count_operation(&mut self, name: &str) {
        let loads = ["buffer_load", "global_load", "flat_load", "tbuffer_load"];
        if let Some(count) = multiply_adds(name) {
            self.multiply_adds += count;
            self.multiply_add_instructions += 1;
        } else if name.starts_with("v_") {
            self.other_vector += 1;
        } else if loads.iter().any(|prefix| name.starts_with(prefix)) {
            *self.loads.entry(width(name)).or_default() += 1;
        } else if name.starts_with("ds_load") || name.starts_with("ds_read") {
            *self.shared_loads.entry(width(name)).or_default() += 1;
        } else if name.starts_with("ds_store") || name.starts_with("ds_write") {
            self.shared_stored += width(name) / 8;
        } else if name.starts_with("s_waitcnt") {
            self.waits += 1;
        }
    }
}

fn bytes(loads: &BTreeMap<u32, u32>) -> u32 {
    loads.iter().map(|(width, count)| width / 8 * count).sum()
}

/// The multiply-adds of f32 of an instruction, 0 for those of matrices; `None` for any other instruction.
fn multiply_adds(name: &str) -> Option<u32> {
    let name = name.strip_prefix("v_").map(|name| name.strip_prefix("dual_").unwrap_or(name))?;
    let of_f32 = ["fma_f32", "fmac_f32", "fmamk_f32", "fmaak_f32", "mac_f32", "mad_f32", "madmk_f32", "madak_f32"];
    let starts = |names: &[&str]| names.iter().any(|start| name.starts_with(start));
    match () {
        () if starts(&of_f32) || starts(&["fma_mix_f32", "fma_mad_mix"]) => Some(1),
        () if starts(&["pk_fma_f32"]) => Some(2),
        () if starts(&["wmma", "mfma"]) => Some(0),
        () => None,
    }
}

/// The width of a load or store in bits: `ds_load_2addr_b64` has 128.
fn width(name: &str) -> u32 {
    let of_word = |word: &str| match word {
        "b128" | "dwordx4" => Some(128),
        "b96" | "dwordx3" => Some(96),
        "b64" | "dwordx2" => Some(64),
        "b32" | "dword" => Some(32),
        "b16" | "u16" | "i16" | "short" | "ushort" | "sshort" => Some(16),
        "b8" | "u8" | "i8" | "byte" | "ubyte" | "sbyte" => Some(8),
        _ => None,
    };
    let twice = name.split('_').any(|word| matches!(word, "2addr" | "read2" | "write2" | "read2st64" | "write2st64"));
    let width = name.split('_').find_map(of_word).unwrap_or(32);
    if twice { 2 * width } else { width }
}

/// The innermost loop with the most multiply-adds; without a loop, the whole kernel.
pub fn hottest_loop(assembly: &str) -> Loop {
    let blocks = blocks(assembly);
    let loops = loops(&blocks);
    let is_inside = |a: (usize, usize), b: (usize, usize)| a != b && b.0 <= a.0 && a.1 <= b.1;
    let innermost = loops.iter().filter(|&&outer| !loops.iter().any(|&inner| is_inside(inner, outer)));
    let count = |first: usize, last: usize| {
        let mut found = Loop::default();
        blocks[first..=last].iter().flat_map(|(_, lines)| lines).for_each(|line| found.count(line));
        found
    };
    let hottest = innermost.map(|&(first, last)| count(first, last)).max_by_key(|found| found.multiply_adds);
    hottest.unwrap_or_else(|| if blocks.is_empty() { Loop::default() } else { count(0, blocks.len() - 1) })
}

/// The basic blocks in order: label and instructions.
fn blocks(assembly: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in assembly.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        match line.strip_suffix(':') {
            Some(label) if label.starts_with("BB") => blocks.push((label, Vec::new())),
            _ if line.is_empty() => {}
            _ => blocks.extend(blocks.is_empty().then(|| ("", Vec::new()))),
        }
        if let Some((_, lines)) = blocks.last_mut()
            && !line.is_empty()
            && !line.ends_with(':')
        {
            lines.push(line);
        }
    }
    blocks
}

/// The first and the last block of each loop: a branch to an earlier block, or to its own.
fn loops(blocks: &[(&str, Vec<&str>)]) -> Vec<(usize, usize)> {
    let position: HashMap<&str, usize> = blocks.iter().enumerate().map(|(at, (label, _))| (*label, at)).collect();
    let mut last_of: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, (_, lines)) in blocks.iter().enumerate() {
        for line in lines.iter().filter(|line| line.starts_with("s_cbranch") || line.starts_with("s_branch")) {
            let target = line.split_whitespace().nth(1).and_then(|label| position.get(label)).copied();
            if let Some(first) = target.filter(|&first| first <= at) {
                let last = last_of.entry(first).or_insert(at);
                *last = (*last).max(at);
            }
        }
    }
    last_of.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSEMBLY: &str = "\
BB0:
    s_mov_b32 s0, 0                          ; be800080
BB1:
    v_mov_b32_e32 v0, 0
BB2:
    buffer_load_b128 v[0:3], v4, s[0:3], 0 offen
    global_load_dwordx2 v[0:1], v4, s[0:1]
    ds_load_2addr_b64 v[0:3], v4 offset1:1
    ds_store_b128 v4, v[0:3]
    s_waitcnt vmcnt(0)
    v_fmac_f32_e32 v1, v2, v3
    v_dual_fmac_f32 v1, v2, v3 :: v_dual_mov_b32 v4, v5
    v_pk_fma_f32 v[0:1], v[2:3], v[4:5], v[0:1]
    v_add_nc_u32_e32 v4, 16, v4
    s_cbranch_scc1 BB2
BB3:
    v_fma_f32 v1, v2, v3, v1
    s_cbranch_scc1 BB1
BB4:
    s_endpgm
";

    #[test]
    fn the_innermost_loop_is_counted_by_kind_and_width() {
        let found = hottest_loop(ASSEMBLY);
        let expected = Loop {
            multiply_adds: 4,
            multiply_add_instructions: 3,
            other_vector: 2,
            loads: BTreeMap::from([(64, 1), (128, 1)]),
            shared_loads: BTreeMap::from([(128, 1)]),
            shared_stored: 16,
            waits: 1,
        };
        assert_eq!(found, expected);
        assert_eq!((found.loaded(), found.shared_loaded(), found.share()), (24, 16, 0.6));
    }

    #[test]
    fn code_without_a_loop_is_counted_as_a_whole() {
        let found = hottest_loop("BB0:\n  v_fma_f32 v1, v2, v3, v1\n  v_mul_f32 v1, v1, v1\n  s_endpgm\n");
        assert_eq!((found.multiply_adds, found.other_vector), (1, 1));
        assert_eq!(hottest_loop(""), Loop::default());
    }
}
