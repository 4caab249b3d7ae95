//! `demo`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// Shows the main job on an embedded store, then serves.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many students the district has.
    #[arg(long, default_value = "1000", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub students: u32,
    /// Keep the documents in this directory, which must be empty. Default: a temporary one, gone at the end.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The address to serve on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", env = "ROAR_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// End when the demonstration is over, instead of serving.
    #[arg(long)]
    pub exit: bool,
}
