//! The program: see `roar-functions --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    roar_functions::cli::main()
}
