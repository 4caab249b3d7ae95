//! `doc`: documents on the command line.

use std::io::Read as _;

use clap::{Args, Subcommand, ValueEnum};
use futures::TryStreamExt as _;
use serde_json::{Map, Value as Json, json};

use super::json::{fields_from_json, fields_to_json};
use super::{CliError, print, wiring};
use crate::config::StoreArgs;
use crate::context::Context;
use crate::store::path::NAME_FIELD;
use crate::store::{Database, Direction, DocPath, FieldPath, Fields, Query, Value, Write};

/// Reads and writes documents of any store, as JSON.
///
/// Null, booleans, strings, lists and maps are JSON's own; a number without fraction or exponent is
/// an integer, with either a double. What JSON can't say is an object with one key:
/// {"$timestamp": "2025-03-10T18:20:43Z"}, {"$bytes": base64}, {"$reference": full name},
/// {"$geo": [north, east]}, {"$double": "NaN"}; a map that would look like one of these is
/// {"$map": {...}}.
#[derive(Debug, Args)]
pub struct DocArgs {
    #[command(subcommand)]
    command: DocCommand,
}

#[derive(Debug, Subcommand)]
enum DocCommand {
    /// Print a document's fields. Fails when it's missing.
    Get {
        /// The document: users/u1
        path: String,
        #[command(flatten)]
        target: Target,
    },
    /// Replace a document, or create it.
    Set {
        /// The document: users/u1
        path: String,
        /// The fields as a JSON object. Default: read from standard input.
        fields: Option<String>,
        /// Set the given fields, at any depth, and leave the others.
        #[arg(long)]
        merge: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Delete a document. A missing one is no error; its subcollections stay.
    Delete {
        /// The document: users/u1
        path: String,
        #[command(flatten)]
        target: Target,
    },
    /// Print the documents of a collection, one {"path", "fields"} a line, ordered by ID.
    List {
        /// The collection: users
        path: String,
        /// How many at most.
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// The database: admin or assessment.
    #[arg(long, value_enum, default_value = "admin")]
    database: Label,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Label {
    Admin,
    Assessment,
}

impl Target {
    async fn open(&self) -> Result<Database, CliError> {
        let databases = wiring::open(&self.store.check()?, &Context::system()).await?.stores;
        Ok(match self.database {
            Label::Admin => databases.admin,
            Label::Assessment => databases.assessment,
        })
    }
}

pub async fn run(args: DocArgs) -> Result<(), CliError> {
    match args.command {
        DocCommand::Get { path, target } => {
            let path = DocPath::new(path)?;
            let Some(document) = target.open().await?.get(&path).await? else {
                return Err(CliError::Other(format!("there is no document {path}")));
            };
            print(&format!("{:#}\n", Json::Object(fields_to_json(&document.fields))))
        }
        DocCommand::Set { path, fields, merge, target } => {
            let path = DocPath::new(path)?;
            let text = match fields {
                Some(text) => text,
                None => {
                    let mut text = String::new();
                    std::io::stdin().read_to_string(&mut text).map_err(|error| CliError::Other(error.to_string()))?;
                    text
                }
            };
            let object: Map<String, Json> = serde_json::from_str(&text)
                .map_err(|why| CliError::Other(format!("the fields must be a JSON object: {why}")))?;
            let fields = fields_from_json(&object).map_err(CliError::Other)?;
            let write = if merge {
                let mut mask = Vec::new();
                leaves(&mut Vec::new(), &fields, &mut mask);
                Write::merge(path, fields, mask)
            } else {
                Write::set(path, fields)
            };
            target.open().await?.commit(vec![write]).await?;
            Ok(())
        }
        DocCommand::Delete { path, target } => {
            let path = DocPath::new(path)?;
            target.open().await?.commit(vec![Write::delete(path)]).await?;
            Ok(())
        }
        DocCommand::List { path, limit, target } => {
            // A collection's path is a document's path without the last segment, so any document ID serves to check it.
            DocPath::in_collection(&path, "x")?;
            let mut query = Query::collection(path).order_by(NAME_FIELD, Direction::Ascending);
            query.limit = limit;
            let mut documents = target.open().await?.stream(query);
            while let Some(document) = documents.try_next().await? {
                let line = json!({"path": document.path.as_str(), "fields": fields_to_json(&document.fields)});
                print(&format!("{line}\n"))?;
            }
            Ok(())
        }
    }
}

/// Adds to `mask` the paths of all values except non-empty maps, like the mask of a client's merge.
fn leaves(prefix: &mut Vec<String>, fields: &Fields, mask: &mut Vec<FieldPath>) {
    for (name, value) in fields {
        prefix.push(name.clone());
        match value {
            Value::Map(entries) if !entries.is_empty() => leaves(prefix, entries, mask),
            _ => mask.push(FieldPath::of(prefix.clone())),
        }
        prefix.pop();
    }
}
