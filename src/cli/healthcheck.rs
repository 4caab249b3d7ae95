//! `healthcheck`.

use std::time::Duration;

use clap::Args;

use super::{CliError, wiring};

/// The time limit for the server's answer.
const LIMIT: Duration = Duration::from_secs(4);

#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// The server's port.
    #[arg(long, env = "PORT", default_value = "8080")]
    port: u16,
}

pub async fn run(args: &HealthcheckArgs) -> Result<(), CliError> {
    let url = format!("http://127.0.0.1:{}/readyz", args.port);
    let answer = wiring::http_client(LIMIT)?.get(url).send().await;
    let answer = answer.map_err(|_| CliError::Other("there's no answer".to_owned()))?;
    match answer.status().is_success() {
        true => Ok(()),
        false => Err(CliError::Other(format!("not ready: {}", answer.text().await.unwrap_or_default().trim()))),
    }
}
