//! What the system says of the programs that are measured.

use std::fs;

/// The sizes of a process, in MiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: f64,
    /// Of that, what is no file's: the rest is mostly the program itself, and can be read from disk again.
    pub(crate) anonymous: f64,
    /// Resident at most so far.
    pub(crate) peak: f64,
}

impl Memory {
    /// That of the one `pullkey` that runs this command under this process.
    pub(crate) fn of(command: &str) -> Self {
        let process = descendants(std::process::id())
            .into_iter()
            .find(|process| is_pullkey(*process, command));
        let status = read(process.unwrap(), "status");
        let size = |field: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            let kib = line.trim_start_matches(':').trim().trim_end_matches(" kB");
            kib.parse::<f64>().unwrap() / 1024.0
        };
        Self {
            resident: size("VmRSS"),
            anonymous: size("RssAnon"),
            peak: size("VmHWM"),
        }
    }
}

/// How many processes wanted a core lately, on average over a minute.
pub(crate) fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split(' ').next().unwrap().parse().unwrap()
}

fn descendants(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|children| {
            children
                .split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    let below = children.iter().flat_map(|child| descendants(*child));
    children.iter().copied().chain(below).collect()
}

fn is_pullkey(process: u32, command: &str) -> bool {
    let line = read(process, "cmdline");
    let mut words = line.split('\0');
    words
        .next()
        .is_some_and(|program| program == env!("CARGO_BIN_EXE_pullkey"))
        && words.next() == Some(command)
}

fn read(process: u32, name: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{name}")).unwrap_or_default()
}
