//! What the benchmarks of whole districts share: each line is measured in a process of its own, for its peak
//! memory.

use std::process::Command;

/// The line that this process is to measure: a store and a number of students. `None` for the process that
/// starts the others.
pub fn own_line() -> Option<(String, usize)> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [store, students] = arguments.as_slice() else { return None };
    Some((store.clone(), students.parse().ok()?))
}

/// The program's own kind of runtime.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(roar_functions::cli::BLOCKING_THREADS)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Measures the lines, each in a process of its own, and prints what these print. `ROAR_BENCH_ONLY` picks those
/// that contain it.
pub fn measure_each(lines: &[(&str, usize)]) {
    let only = std::env::var("ROAR_BENCH_ONLY").unwrap_or_default();
    for (store, students) in lines {
        if !format!("{store} {students}").contains(&only) {
            continue;
        }
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).args([*store, &students.to_string()]).output().expect("a run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        print!("{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The most memory that this process has held.
pub fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    let kib: f64 = line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(f64::NAN);
    kib / 1024.0
}
