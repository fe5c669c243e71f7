//! Unique names for translated code.

use std::collections::HashMap;

use crate::names::ident;

/// The names in use.
#[derive(Clone)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// Reserves the names that translated code uses itself and those that Rust does not allow for variables.
    pub(super) fn new() -> Names {
        const TAKEN: &[&str] = &[
            "simd",
            "shader",
            "active",
            "returned",
            "leaving",
            "wgsl",
            "v",
            "workgroup",
            "order",
            "at",
            "dispatch",
            "range",
            "F32",
            "U32",
            "I32",
            "Bool",
            "Uniform",
            "Lanes",
            "Scalars",
            "Fault",
            "Some",
            "None",
            "Ok",
            "Err",
            "OVERRIDES",
            "CHECKED",
            "LEAST_LANES",
        ];
        Names(TAKEN.iter().map(|&name| (name.to_owned(), 1)).collect())
    }

    pub(super) fn reserve(&mut self, name: &str) {
        self.0.entry(name.to_owned()).or_insert(1);
    }

    /// This name, or this name and a number.
    pub(super) fn unique(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        while self.0.contains_key(&free) {
            let count = self.0.entry(name.to_owned()).or_insert(1);
            *count += 1;
            free = format!("{name}_{count}");
        }
        self.0.insert(free.clone(), 1);
        ident(&free)
    }

    /// As [`Names::unique`], and unique in `others`, too.
    pub(super) fn unique_in_both(&mut self, others: &mut Names, name: &str) -> String {
        loop {
            let free = self.unique(name);
            let plain = free.strip_prefix("r#").unwrap_or(&free);
            if !others.0.contains_key(plain) {
                others.reserve(plain);
                return free;
            }
        }
    }
}
