//! What came out, as tables.

use std::fmt;

use super::cluster::{Birth, Measured, RULES};
use super::memory::Held;
use super::processes::Memory;
use super::statistics::Quantile;

/// A quantity of a measurement, by name.
type Row = (&'static str, fn(&Measured) -> String);

const ROWS: [Row; 19] = [
    ("copies of a new namespace, p50, ms", |all| copies(&all.idle, 0.5)),
    ("  p99", |all| copies(&all.idle, 0.99)),
    ("its default ServiceAccount, p50, ms", |all| account(&all.idle, 0.5)),
    ("  p99", |all| account(&all.idle, 0.99)),
    ("  copies before it", |all| in_time(&all.idle)),
    ("during a rotation: copies, p50, ms", |all| {
        copies(&all.during_rotation, 0.5)
    }),
    ("  p99", |all| copies(&all.during_rotation, 0.99)),
    ("  default ServiceAccount, p50, ms", |all| {
        account(&all.during_rotation, 0.5)
    }),
    ("  p99", |all| account(&all.during_rotation, 0.99)),
    ("  copies before it", |all| in_time(&all.during_rotation)),
    ("a rotation to all, s: median", |all| {
        format!("{:.2}", rotation(all, 0.5))
    }),
    ("  the longest", |all| format!("{:.2}", rotation(all, 1.0))),
    ("  writes a second", |all| {
        format!("{:.0}", all.namespaces as f64 / rotation(all, 0.5))
    }),
    ("controller, 60 s after its lists, MiB", |all| {
        size(all.fresh.controller)
    }),
    ("  after all of the above", |all| size(all.used.controller)),
    ("webhook, 60 s after its lists, MiB", |all| size(all.fresh.webhook)),
    ("  after all of the above", |all| size(all.used.webhook)),
    ("births: idle, during rotations", |all| {
        format!("{}, {}", all.idle.len(), all.during_rotation.len())
    }),
    ("load average", |all| format!("{:.1}", all.load)),
];

/// What was measured on a real API server, a column for each number of namespaces.
pub(crate) fn cluster(measured: &[Measured], others: usize) -> impl fmt::Display {
    fmt::from_fn(move |out| {
        writeln!(
            out,
            "A real API server, {RULES} copies a namespace, {others} other Secrets and as many ServiceAccounts"
        )?;
        let mut line = |name: &str, cell: &dyn Fn(&Measured) -> String| {
            write!(out, "{name:<38}")?;
            measured
                .iter()
                .try_for_each(|all| write!(out, " | {:>24}", cell(all)))?;
            writeln!(out)
        };
        line("namespaces", &|all| all.namespaces.to_string())?;
        ROWS.iter().try_for_each(|(name, cell)| line(name, cell))
    })
}

/// What the programs hold of a cluster that is simulated.
pub(crate) fn memory(held: &Held) -> impl fmt::Display {
    fmt::from_fn(move |out| {
        let inventory = &held.inventory;
        writeln!(
            out,
            "A simulated API server: {} rules, {} namespaces, {} copies of {} sources, {} ServiceAccounts",
            inventory.rules(),
            inventory.namespaces,
            inventory.copies(),
            inventory.sources(),
            inventory.all_accounts(),
        )?;
        writeln!(
            out,
            "MiB, 60 s after the lists | resident | of it anonymous | at most so far"
        )?;
        for (name, memory) in [("controller", held.controller), ("webhook", held.webhook)] {
            let Memory {
                resident,
                anonymous,
                peak,
            } = memory;
            writeln!(out, "{name:<25} | {resident:>8.1} | {anonymous:>15.1} | {peak:>14.1}")?;
        }
        Ok(())
    })
}

fn copies(births: &[Birth], share: f64) -> String {
    Quantile::of(births.iter().map(|birth| birth.copies), share).to_string()
}

fn account(births: &[Birth], share: f64) -> String {
    Quantile::of(births.iter().map(|birth| birth.account), share).to_string()
}

fn in_time(births: &[Birth]) -> String {
    let count = births.iter().filter(|birth| birth.is_in_time).count();
    format!("{count} of {}", births.len())
}

fn rotation(all: &Measured, share: f64) -> f64 {
    Quantile::of(all.rotations.iter().copied(), share).estimate
}

fn size(memory: Memory) -> String {
    format!("{:.1} (at most {:.1})", memory.resident, memory.peak)
}
