//! What came of the scenarios.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::counters::Counted;
use super::load::Tally;

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) minutes: f64,
    pub(crate) tally: Tally,
    pub(crate) counted: Counted,
    /// Why calls failed open, as API servers say it, with `#` for digits.
    pub(crate) failed_open: BTreeMap<String, usize>,
    /// What was done, and how often.
    pub(crate) disturbances: String,
    /// Connections besides, and why some were not believed, with `#` for digits.
    pub(crate) handshakes: usize,
    pub(crate) unbelieved: BTreeMap<String, usize>,
    /// The machine's.
    pub(crate) load_average: f64,
}

/// A heading, and what stands below it.
type Column = (&'static str, fn(&Row) -> String);

const COLUMNS: [Column; 11] = [
    ("scenario", |row| row.scenario.clone()),
    ("minutes", |row| format!("{:.1}", row.minutes)),
    ("Pods", |row| row.tally.asked.to_string()),
    ("calls, API server", |row| format!("{:.0}", row.counted.calls)),
    ("answers, replicas", |row| {
        let answered: Vec<_> = row
            .counted
            .answered
            .iter()
            .map(|(code, count)| format!("{code}: {count:.0}"))
            .collect();
        answered.join(", ")
    }),
    ("failed open", |row| format!("{:.0}", row.counted.failed_open)),
    ("failed closed", |row| format!("{:.0}", row.counted.rejected)),
    ("failed creations", |row| {
        row.tally.failed.values().sum::<usize>().to_string()
    }),
    ("Pods missed", |row| row.tally.missed.to_string()),
    ("handshakes (unbelieved)", |row| {
        format!("{} ({})", row.handshakes, row.unbelieved.values().sum::<usize>())
    }),
    ("done to it", |row| row.disturbances.clone()),
];

/// All of them, and below what does not fit in.
pub(crate) fn table(rows: &[Row]) -> impl fmt::Display {
    fmt::from_fn(move |out| {
        let cells: Vec<[String; COLUMNS.len()]> = rows.iter().map(|row| COLUMNS.map(|(_, cell)| cell(row))).collect();
        let mut widths = COLUMNS.map(|(name, _)| name.len());
        for row in &cells {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.len().max(*width);
            }
        }
        let mut line = |cells: &[String]| {
            let padded: Vec<_> = cells
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(out, "| {} |", padded.join(" | "))
        };
        line(&COLUMNS.map(|(name, _)| name.to_owned()))?;
        line(&widths.map(|width| "-".repeat(width)))?;
        cells.iter().try_for_each(|row| line(row))?;
        rows.iter().try_for_each(|row| out.write_str(&notes(row)))
    })
}

/// What there is to say of a scenario besides.
fn notes(row: &Row) -> String {
    let Tally {
        created,
        namespaces,
        failed,
        too_early,
        broken_off,
        unheard,
        ..
    } = &row.tally;
    let mut notes = format!(
        "{}: {created} Pods created in {namespaces} new namespaces, load average {:.1}\n",
        row.scenario, row.load_average
    );
    if *broken_off + *too_early + *unheard > 0 {
        let _ = writeln!(
            notes,
            "  the API server was gone: {broken_off} tries broken off, {too_early} before it was ready; \
             {unheard} Pods were there already"
        );
    }
    for (reason, count) in &row.failed_open {
        let _ = writeln!(notes, "  {count} calls failed open: {reason}");
    }
    for (reason, count) in failed {
        let _ = writeln!(notes, "  {count} creations: {reason}");
    }
    for (reason, count) in &row.unbelieved {
        let _ = writeln!(notes, "  {count} handshakes: {reason}");
    }
    notes
}
