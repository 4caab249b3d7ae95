//! The program: see `roar-functions --help`.

use std::process::ExitCode;

/// Documents are often allocated on one thread and freed on another, which this allocator handles well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    roar_functions::cli::main()
}
