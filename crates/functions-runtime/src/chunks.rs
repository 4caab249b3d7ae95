//! Chunks that a streaming callable sends before its result (docs/domain/wire-formats.md#streaming).

use serde_json::Value;
use tokio::sync::mpsc;

/// How many chunks are buffered for a slow reader, before the function has to wait.
const WAITING: usize = 16;

/// Where a callable sends chunks. Those of a call that doesn't stream, or of `default()`, are dropped. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Chunks(Option<mpsc::Sender<Value>>);

impl Chunks {
    /// Sends to that channel.
    pub fn channel() -> (Chunks, mpsc::Receiver<Value>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Chunks(Some(sender)), receiver)
    }

    /// Sends a chunk, and waits while the buffer is full. False when nobody reads the chunks, as when the caller has
    /// gone away: the function may go on all the same.
    pub async fn send(&self, chunk: Value) -> bool {
        match &self.0 {
            Some(sender) => sender.send(chunk).await.is_ok(),
            None => false,
        }
    }
}
