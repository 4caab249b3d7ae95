//! `token`: ID tokens for development.

use clap::Args;
use serde_json::{Map, Value};

use super::{CliError, wiring};
use crate::config::{BackendConfig, StoreArgs};
use crate::context::Context;
use crate::runtime::auth::unsigned_token;

/// Prints an ID token that's good for an hour. With the embedded store it's signed with the key of the data directory,
/// and servers of that directory accept it; with the Firestore emulator it's unsigned, like those of the Auth emulator, and
/// servers with that emulator accept it. Nothing else ever does.
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
            "no server on Cloud Firestore accepts tokens for development: sign in with Firebase, or use ROAR_STORE=embedded \
             or FIRESTORE_EMULATOR_HOST"
                .to_owned(),
        ));
    }
    let project = args.project.as_ref().unwrap_or(&store.admin.project);
    let context = Context::system();
    let (uid, email, claims, now) = (&args.uid, args.email.as_deref(), args.claims.clone(), context.now());
    let token = match &store.backend {
        BackendConfig::Embedded(directory) => {
            wiring::development_key(directory, &context)?.token(project, uid, email, claims, now)
        }
        _ => unsigned_token(project, uid, email, claims, now),
    };
    println!("{}", token.map_err(CliError::Other)?);
    Ok(())
}
