//! `serve`.

use tokio::signal::unix::{SignalKind, signal};

use super::{CliError, wiring};
use crate::config::ServeArgs;

pub async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let config = args.check()?;
    let failed = |what: &str, error: std::io::Error| CliError::Other(format!("{what}: {error}"));
    // Before anything else, so that a stop during the start isn't missed.
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed("can't listen for SIGTERM", error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed("can't listen for SIGINT", error))?;
    let service = wiring::build(&config).await?;
    let listen = config.server.listen;
    let server = service
        .bind(listen, config.server.grace)
        .await
        .map_err(|error| failed(&format!("can't listen on {listen} (ROAR_LISTEN, PORT)"), error))?;
    service.start_tasks();
    let address = server.address().map_err(|error| failed("can't tell the address", error))?;
    tracing::info!(functions = service.runtime.registry().iter().count(), "listening on http://{address}");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let in_time = server.run(stop).await.map_err(|error| failed("the server failed", error))?;
    tracing::info!(in_time, "stopped");
    Ok(())
}
