//! `serve`.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CliError;
use super::wiring::{self, Built};
use crate::app::App;
use crate::config::{Config, MetricsReaders, ServeArgs};
use crate::rostering::Rosters;
use crate::runtime::Server;

/// The number of file descriptors reserved for stores and for connections to other servers.
const OTHER_FILES: u64 = 256;

pub async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let mut config = args.check()?;
    config.capacity.connections = connections(config.capacity.connections);
    let stop = stop_signal()?;
    let built = wiring::build(&config).await?;
    let rosters = Rosters::of(&built.service.app);
    let stop = async move {
        stop.await;
        rosters.stop();
    };
    let server = bind(&built, &config).await?;
    let server = match config.server.metrics {
        MetricsReaders::All => server,
        MetricsReaders::Local => server.with_local_metrics(),
    };
    let dispatchers = built.start();
    let address = server.address().map_err(|error| failed("can't tell the address", error))?;
    tracing::info!(functions = built.service.runtime.registry().iter().count(), "listening on http://{address}");
    let in_time = server.run(stop).await.map_err(|error| failed("the server failed", error))?;
    for dispatcher in dispatchers {
        dispatcher.stop().await;
    }
    tracing::info!(in_time, "stopped");
    Ok(())
}

/// The number of connections that are possible, at most `wanted`. Each takes a file descriptor, and [`OTHER_FILES`] are
/// reserved.
fn connections(wanted: usize) -> usize {
    // Raises the soft limit of file descriptors to the hard limit.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(u64::MAX);
    let most = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(16);
    if wanted > most {
        tracing::warn!(files, most, "there can't be as many connections as ROAR_MAX_CONNECTIONS says");
    }
    wanted.min(most)
}

pub fn failed(what: &str, error: std::io::Error) -> CliError {
    CliError::Other(format!("{what}: {error}"))
}

/// A future that resolves at SIGTERM or SIGINT. Call this before anything else, so that a signal during the start isn't
/// missed.
pub fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed("can't listen for SIGTERM", error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed("can't listen for SIGINT", error))?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// A token that is cancelled at SIGTERM or SIGINT.
pub fn stopping() -> Result<CancellationToken, CliError> {
    let (stop, token) = (stop_signal()?, CancellationToken::new());
    let told = token.clone();
    tokio::spawn(async move {
        stop.await;
        told.cancel();
    });
    Ok(token)
}

/// Does the work of a long command until a signal stops the command. Then the work is abandoned, and the error has
/// `left`, which says what is left to do.
pub async fn until_stopped<T>(
    stop: &CancellationToken,
    left: &str,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(CliError::Stopped(left.to_owned())),
        done = work => done,
    }
}

/// Binds the server's address, with the settings about who may call.
pub async fn bind(built: &Built, config: &Config) -> Result<Server<App>, CliError> {
    let listen = config.server.listen;
    let server = built.service.bind(listen, config.server.grace).await;
    let server = server.map_err(|error| failed(&format!("can't listen on {listen} (ROAR_LISTEN, PORT)"), error))?;
    Ok(match &config.callers.local {
        Some(local) => server.for_this_machine_only(local.clone()),
        None => server,
    })
}
