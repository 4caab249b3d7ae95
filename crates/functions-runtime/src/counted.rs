//! Counts what there is of something.

use tokio::sync::watch;

/// One of those that are counted, for as long as it exists, however it ends.
pub(super) struct Counted(watch::Sender<usize>);

impl Counted {
    pub fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
