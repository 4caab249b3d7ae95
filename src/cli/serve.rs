//! `serve`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use super::wiring::{self, Built};
use crate::app::App;
use crate::config::{MetricsReaders, ServeArgs};
use crate::runtime::Server;

pub async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let config = args.check()?;
    let stop = stop_signal()?;
    let built = wiring::build(&config).await?;
    let server = bind(&built, config.server.listen, config.server.grace).await?;
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

pub fn failed(what: &str, error: std::io::Error) -> CliError {
    CliError::Other(format!("{what}: {error}"))
}

/// Resolves at SIGTERM or SIGINT. To be called before anything else, so that a stop during the start
/// isn't missed.
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

/// Binds the address.
pub async fn bind(built: &Built, listen: SocketAddr, grace: Duration) -> Result<Server<App>, CliError> {
    let server = built.service.bind(listen, grace).await;
    server.map_err(|error| failed(&format!("can't listen on {listen} (ROAR_LISTEN, PORT)"), error))
}
