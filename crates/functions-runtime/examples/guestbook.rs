//! A backend of one callable and one document trigger, on an embedded store:
//! `cargo run -p functions-runtime --example guestbook`.

use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};

use document_store::context::Context;
use document_store::embedded::{DispatchOptions, EmbeddedStore, IndexSet};
use document_store::{Database, DatabaseName, DocPath, Query, Write, fields};
use functions_runtime::DocumentEventType::Created;
use functions_runtime::auth::DevelopmentKey;
use functions_runtime::{
    Call, DocumentEvent, Function, FunctionError, HandlerError, LocalOnly, LocalQueue, Options, QueueOptions, Runtime,
    Server, ServerOptions, outbox_triggers,
};
use serde_json::{Map, Value, json};

async fn sign(database: Database, call: Call) -> Result<Value, FunctionError> {
    let uid = &call.signed_in()?.uid;
    let text = call.data["text"].as_str().ok_or_else(|| FunctionError::invalid("text must be a text."))?;
    let entry = Write::create(DocPath::new(format!("entries/{uid}"))?, fields! { "text" => text });
    database.commit(vec![entry]).await?;
    Ok(json!({ "signed": uid }))
}

/// Events come at least once, so this counts in a way that bears repetition.
async fn count(database: Database, _: DocumentEvent) -> Result<(), HandlerError> {
    let entries = database.count(Query::collection("entries")).await? as i64;
    database.commit(vec![Write::set(DocPath::new("books/guests")?, fields! { "entries" => entries })]).await?;
    Ok(())
}

fn functions() -> Vec<Function<Database>> {
    let count = Function::on_document("book", Created, "entries/{uid}", "count", "Counts the entries.", count);
    vec![Function::callable("sign", "Signs the guest book.", sign), count]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (directory, context) = (tempfile::tempdir()?, Context::system());
    let name = DatabaseName { project: "demo-guests".to_owned(), database: "(default)".to_owned() };
    let (triggers, clock) = (outbox_triggers(&functions(), "book"), context.clock.clone());
    let store = EmbeddedStore::open(directory.path(), "book", name.clone(), &IndexSet::none(), triggers, clock)?;
    let database = Database::new(store.clone());
    let key = DevelopmentKey::open(directory.path(), &context)?;
    let token = key.token(&name.project, "ada", None, Map::new(), context.now())?;
    let options = Options::for_this_machine(context, key, BTreeMap::from([("book".to_owned(), name)]))?;
    let runtime = Runtime::new(functions(), database.clone(), options)?;
    let _dispatcher = store.start_dispatcher(Arc::new(runtime.clone()), DispatchOptions::default());
    let (queue, grace) = (LocalQueue::new(database.clone(), QueueOptions::default()), Duration::from_secs(1));
    let options = ServerOptions { databases: vec![database.clone()], queue, remote: None, grace };
    let server = Server::bind(([127, 0, 0, 1], 0).into(), runtime, options).await?;
    let call = reqwest::Client::builder().build()?.post(format!("http://{}/sign", server.address()?));
    tokio::spawn(server.for_this_machine_only(LocalOnly::default()).run(std::future::pending()));
    let answer = call.bearer_auth(token).json(&json!({ "data": { "text": "Hello" } })).send().await?;
    println!("{}", answer.text().await?);
    store.drained().await;
    println!("{:?}", database.get(&DocPath::new("books/guests")?).await?.map(|document| document.fields));
    Ok(())
}
