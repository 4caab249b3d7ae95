//! A count of things under way that can't be forgotten to be decreased.

use tokio::sync::watch;

/// Counts as one for as long as it exists.
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
