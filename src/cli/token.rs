//! `token`: unsigned ID tokens for development.

use clap::Args;
use serde_json::{Map, Value};

use super::CliError;
use crate::config::{BackendConfig, StoreArgs};
use crate::context::Context;
use crate::runtime::auth::development_token;

/// Prints an ID token like those of the Auth emulator: unsigned, good for an hour. Servers accept it
/// with the embedded store or the Auth emulator, on a loopback address; nothing else ever does.
#[derive(Debug, Args)]
pub struct TokenArgs {
    /// The user's UID.
    #[arg(long)]
    uid: String,
    /// The user's e-mail address.
    #[arg(long)]
    email: Option<String>,
    /// Custom claims: a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    claims: Map<String, Value>,
    /// The project that the token is for. Default: the admin project.
    #[arg(long)]
    project: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|_| "must be a JSON object".to_owned())
}

pub fn run(args: &TokenArgs) -> Result<(), CliError> {
    let store = args.store.check()?;
    if store.backend == BackendConfig::Cloud {
        return Err(CliError::Other(
            "no server on Cloud Firestore accepts unsigned tokens: sign in with Firebase, or use ROAR_STORE=embedded \
             or FIRESTORE_EMULATOR_HOST"
                .to_owned(),
        ));
    }
    let project = args.project.as_ref().unwrap_or(&store.admin.project);
    let token =
        development_token(project, &args.uid, args.email.as_deref(), args.claims.clone(), Context::system().now());
    println!("{}", token.map_err(CliError::Other)?);
    Ok(())
}
