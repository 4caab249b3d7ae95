//! The address to listen on, shutdown, and limits on concurrent work.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::parsers::{address, choice, count, mebibytes, memory, named, port, seconds, thousands};
use crate::runtime::Capacity;

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
    /// Who may read /metrics: all, or local: who is on this machine and comes by no proxy, as a collector beside the
    /// service on Cloud Run.
    #[arg(long, value_name = "WHO", env = "ROAR_METRICS", default_value = "all", value_parser = named("ROAR_METRICS", choice::<MetricsReaders>))]
    pub metrics: MetricsReaders,
    /// How many tasks run at once.
    #[arg(long, value_name = "N", env = "ROAR_TASK_CONCURRENCY", default_value = "4", value_parser = named("ROAR_TASK_CONCURRENCY", count))]
    pub task_concurrency: usize,
    /// How many calls are handled at once. More are refused at once, and may try again.
    #[arg(long, value_name = "N", env = "ROAR_MAX_CALLS", default_value = "256", value_parser = named("ROAR_MAX_CALLS", count))]
    pub max_calls: usize,
    /// How many events from outside are handled at once. More wait for their turn, a minute at most, and then come again.
    #[arg(long, value_name = "N", env = "ROAR_MAX_EVENTS", default_value = "256", value_parser = named("ROAR_MAX_EVENTS", count))]
    pub max_events: usize,
    /// How many connections are open at once. More wait until one is closed.
    #[arg(long, value_name = "N", env = "ROAR_MAX_CONNECTIONS", default_value = "4096", value_parser = named("ROAR_MAX_CONNECTIONS", thousands))]
    pub max_connections: usize,
    /// How many MiB of memory the process may hold before calls and events are refused until it holds less; 0 for any
    /// number. Default: three quarters of what the container has, if it's bounded.
    #[arg(long, value_name = "MIB", env = "ROAR_MAX_MEMORY", value_parser = named("ROAR_MAX_MEMORY", memory))]
    pub max_memory: Option<u64>,
    /// How many MiB the bodies of calls and events may take together. What would be more is refused, and may come again.
    #[arg(long, value_name = "MIB", env = "ROAR_MAX_BODIES", default_value = "64", value_parser = named("ROAR_MAX_BODIES", mebibytes))]
    pub max_bodies: usize,
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsReaders {
    /// Whoever reaches the server.
    All,
    /// Who is on the same machine, past all proxies.
    Local,
}

/// The address to listen on, and how to shut down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address.
    pub listen: SocketAddr,
    /// How long running calls, events and tasks may go on after a shutdown was requested.
    pub grace: Duration,
    /// Who may read `/metrics`.
    pub metrics: MetricsReaders,
}

impl ServerArgs {
    /// The limits on concurrent work.
    pub fn capacity(&self) -> Capacity {
        Capacity {
            calls: self.max_calls,
            events: self.max_events,
            body_bytes: self.max_bodies * 1024 * 1024,
            connections: self.max_connections,
            memory: match self.max_memory {
                Some(0) => None,
                Some(mebibytes) => Some(mebibytes * 1024 * 1024),
                None => container_memory().map(|most| most / 4 * 3),
            },
        }
    }

    /// The address to listen on, and how to shut down.
    pub fn check(&self) -> ServerConfig {
        let listen = match (self.listen, self.port) {
            (Some(listen), _) => listen,
            (None, Some(port)) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            (None, None) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
        };
        ServerConfig { listen, grace: self.shutdown_grace, metrics: self.metrics }
    }
}

/// The container's memory limit in bytes, from its control group: version 2, else version 1.
fn container_memory() -> Option<u64> {
    let files = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = files.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    // Version 1 expresses "no limit" as a number that no machine has.
    limit.filter(|limit| *limit < 1 << 50)
}
