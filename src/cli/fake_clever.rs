//! `fake-clever`.

use std::net::SocketAddr;

use clap::Args;

use super::{CliError, serve};
use crate::context::Context;
use crate::demo::clever::{CLIENT_ID, CLIENT_SECRET, FakeClever, Options, Size};

#[derive(Debug, Args)]
pub struct FakeCleverArgs {
    /// How many students the district has.
    #[arg(long, default_value = "1000", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub students: u64,
    /// How many schools it has. Default: one for 500 students.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub schools: Option<u64>,
    /// How many students are in a homeroom; each homeroom has a reading group beside it.
    #[arg(long, default_value = "25", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub homeroom: u64,
    /// The address to listen on: one of this machine's own. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
}

impl FakeCleverArgs {
    fn size(&self) -> Size {
        let usual = Size::of(self.students);
        Size { schools: self.schools.unwrap_or(usual.schools), homeroom: self.homeroom, ..usual }
    }
}

pub async fn run(args: &FakeCleverArgs) -> Result<(), CliError> {
    if !args.listen.ip().is_loopback() {
        return Err(CliError::Other(format!(
            "whoever reaches a fake Clever may change it, so it can't listen on {}: use a loopback address",
            args.listen
        )));
    }
    let stop = serve::stop_signal()?;
    let fake = FakeClever::new(Options::of(args.size()), Context::system());
    let served = fake.serve_at(args.listen).await;
    let served = served.map_err(|error| serve::failed(&format!("can't listen on {}", args.listen), error))?;
    let url = served.url().as_str().trim_end_matches('/');
    println!("A made-up Clever listens on {url} until you stop it (Ctrl-C). For `serve` and `sync clever`:");
    println!();
    println!("  export ROAR_CLEVER_API_URL={url} ROAR_CLEVER_OAUTH_URL={url}");
    println!("  export ROAR_CLEVER_CLIENT_ID={CLIENT_ID} ROAR_CLEVER_CLIENT_SECRET={CLIENT_SECRET}");
    stop.await;
    Ok(())
}
