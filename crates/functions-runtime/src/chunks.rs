//! What a callable says before its answer, to callers who listen (docs/domain/wire-formats.md#streaming).

use serde_json::Value;
use tokio::sync::mpsc;

/// Chunks that wait for a slow reader; then the function waits, too.
const WAITING: usize = 16;

/// Where a callable sends chunks. Nobody listens to one that came of `default()`, or to a plain call. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Chunks(Option<mpsc::Sender<Value>>);

impl Chunks {
    /// A way to whoever reads the other end.
    pub fn channel() -> (Chunks, mpsc::Receiver<Value>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Chunks(Some(sender)), receiver)
    }

    /// Sends a chunk, as soon as the reader has room. False when nobody listens, or no longer: the caller may have
    /// gone away, which is no reason to stop.
    pub async fn send(&self, chunk: Value) -> bool {
        match &self.0 {
            Some(sender) => sender.send(chunk).await.is_ok(),
            None => false,
        }
    }
}
