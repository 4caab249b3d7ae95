//! Where to listen, and how to stop.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::Args;

use crate::service::MOST_CALLS;

use super::parsers::{address, count, named, port, seconds};

/// Where to listen, how to stop and how much to do at once, as it's set.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The address to listen on. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", env = "ROAR_LISTEN", value_parser = named("ROAR_LISTEN", address))]
    pub listen: Option<SocketAddr>,
    /// The port to listen on, on all interfaces, as Cloud Run wants it. ROAR_LISTEN goes first.
    #[arg(long, env = "PORT", value_parser = named("PORT", port))]
    pub port: Option<u16>,
    /// How many seconds calls, events and tasks that run may go on after SIGTERM.
    #[arg(long, value_name = "SECONDS", env = "ROAR_SHUTDOWN_GRACE", default_value = "10", value_parser = named("ROAR_SHUTDOWN_GRACE", seconds))]
    pub shutdown_grace: Duration,
    /// How many tasks run at once.
    #[arg(long, value_name = "N", env = "ROAR_TASK_CONCURRENCY", default_value = "4", value_parser = named("ROAR_TASK_CONCURRENCY", count))]
    pub task_concurrency: usize,
    /// How many calls are handled at once. More are refused at once, and may try again.
    #[arg(long, value_name = "N", env = "ROAR_MAX_CALLS", default_value_t = MOST_CALLS, value_parser = named("ROAR_MAX_CALLS", count))]
    pub max_calls: usize,
}

/// Where to listen, and how to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address.
    pub listen: SocketAddr,
    /// How long what runs may go on after a stop was asked for.
    pub grace: Duration,
}

impl ServerArgs {
    /// The address, and how to stop.
    pub fn check(&self) -> ServerConfig {
        let listen = match (self.listen, self.port) {
            (Some(listen), _) => listen,
            (None, Some(port)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            (None, None) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
        };
        ServerConfig { listen, grace: self.shutdown_grace }
    }
}
