//! The program: see `roar-functions --help`.

use std::process::ExitCode;

/// Documents are made on one thread and let go on another all the time, which this allocator is made
/// for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    roar_functions::cli::main()
}
