//! Admission control: how many calls, events and bytes of bodies are handled at once. What exceeds that is refused
//! early, so that memory stays bounded and admitted requests end in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::counted::Counted;

/// How long receiving a request's body may take.
const BODY_TIME: Duration = Duration::from_secs(60);
/// How long an event waits for its turn. The emulator delivers no event twice, so that a burst has to wait; Pub/Sub,
/// which waits for ten minutes, delivers it again later.
const EVENT_PATIENCE: Duration = Duration::from_secs(60);
/// The unit in which bytes are counted.
const KIB: usize = 1024;
/// The memory that is allocated for a body at first. Its Content-Length may be a lie, so more is allocated only as
/// bytes arrive.
const STEP: usize = 64 * KIB;
/// The size up to which a body counts as small. Large bodies of [`Share::Half`] share half of the memory, so that there
/// is always room for small ones.
const SMALL: usize = 64 * KIB;

/// The limits on what is handled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Calls under way; more are refused with UNAVAILABLE.
    pub calls: usize,
    /// Events over HTTP under way; more wait for up to a minute, and are then refused.
    pub events: usize,
    /// Bytes of the bodies of all calls and events together; a body beyond that is refused.
    pub body_bytes: usize,
    /// Open connections; more wait until one is closed.
    pub connections: usize,
    /// Bytes of resident memory; while the process holds more, new calls and events are refused. `None` for no limit.
    pub memory: Option<u64>,
}

impl Default for Capacity {
    fn default() -> Self {
        Capacity { calls: 256, events: 256, body_bytes: 64 * 1024 * KIB, connections: 4096, memory: None }
    }
}

/// Why a body wasn't read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Larger than the function takes.
    TooLarge,
    /// It broke off, or didn't come in time.
    Broken,
    /// The bodies under way take all the memory that there is for bodies.
    Busy,
}

/// How much of the memory for bodies a sender may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All of it: events, and callers whose rights raise their budget.
    All,
    /// Large bodies of all such senders together get half of it: anybody can make an account.
    Half,
}

/// A permit that is released when it's dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// The permit for a body's memory, released when it's dropped.
#[derive(Debug)]
pub(super) struct BodyPlace {
    all: Place,
    /// The part of it that counts toward the half which large bodies share.
    large: Place,
}

/// Admits calls, events and bodies, within a [`Capacity`].
pub(super) struct Admission {
    capacity: Capacity,
    calls: Arc<Semaphore>,
    events: Arc<Semaphore>,
    /// In KiB.
    bytes: Arc<Semaphore>,
    /// In KiB, for large bodies of [`Share::Half`].
    large: Arc<Semaphore>,
    waiting: watch::Sender<usize>,
    /// The process holds more memory than it should.
    is_full: AtomicBool,
}

impl Admission {
    pub fn new(capacity: Capacity) -> Admission {
        let semaphore = |room: usize| Arc::new(Semaphore::new(room.clamp(1, Semaphore::MAX_PERMITS)));
        Admission {
            calls: semaphore(capacity.calls),
            events: semaphore(capacity.events),
            bytes: semaphore(capacity.body_bytes / KIB),
            large: semaphore(capacity.body_bytes / KIB / 2),
            waiting: watch::Sender::new(0),
            is_full: AtomicBool::new(false),
            capacity,
        }
    }

    /// True when a call would be admitted now. Asked before the body is read, so that a call which can't be admitted
    /// costs nothing. The permit itself is taken once the body is complete: else slow senders would keep others out.
    pub fn has_call(&self) -> bool {
        self.calls.available_permits() > 0 && !self.is_full()
    }

    /// Records how many bytes of memory the process holds. To be called periodically.
    pub fn holds(&self, bytes: u64) {
        let is_full = self.capacity.memory.is_some_and(|most| bytes > most);
        if is_full != self.is_full.swap(is_full, Ordering::Relaxed) && is_full {
            tracing::warn!(
                mebibytes = bytes >> 20,
                "the process holds too much memory: new calls and events are refused for now"
            );
        }
    }

    fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }

    /// A permit for a call; `None` when there are too many.
    pub fn call(&self) -> Option<Place> {
        self.calls.clone().try_acquire_owned().ok()
    }

    /// A permit for an event, waited for if need be; `None` when none gets free in time.
    pub async fn event(&self) -> Option<Place> {
        if self.is_full() {
            return None;
        }
        let _waits = Counted::new(&self.waiting);
        tokio::time::timeout(EVENT_PATIENCE, self.events.clone().acquire_owned()).await.ok()?.ok()
    }

    /// Reads a body of at most `limit` bytes. The permit is to be kept for as long as the bytes are.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        share: Share,
    ) -> Result<(Vec<u8>, BodyPlace), BodyError> {
        let read = self.read_all(headers, body, limit, share);
        tokio::time::timeout(BODY_TIME, read).await.unwrap_or(Err(BodyError::Broken))
    }

    async fn read_all(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
        share: Share,
    ) -> Result<(Vec<u8>, BodyPlace), BodyError> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let announced: usize = announced.unwrap_or(0);
        if announced > limit {
            return Err(BodyError::TooLarge);
        }
        // A body that can't fit is refused at once; permits are taken only for bytes that have arrived.
        let fits = |bytes: usize, room: &Semaphore| bytes.div_ceil(KIB) <= room.available_permits();
        if !fits(announced.min(self.most_bytes()), &self.bytes) || !fits(self.large_of(announced, share), &self.large) {
            return Err(BodyError::Busy);
        }
        let mut place = BodyPlace { all: take(&self.bytes, 0)?, large: take(&self.large, 0)? };
        let mut bytes = Vec::with_capacity(announced.min(STEP));
        let mut parts = body.into_data_stream();
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| BodyError::Broken)?;
            let length = bytes.len() + part.len();
            if length > limit {
                return Err(BodyError::TooLarge);
            }
            grow(&mut place.all, &self.bytes, length.min(self.most_bytes()))?;
            grow(&mut place.large, &self.large, self.large_of(length, share))?;
            bytes.extend_from_slice(&part);
        }
        Ok((bytes, place))
    }

    /// The most that one body counts as, so that a single body larger than the whole memory for bodies is still
    /// admitted.
    fn most_bytes(&self) -> usize {
        (self.capacity.body_bytes / KIB).max(1) * KIB
    }

    /// How many bytes of a body of that length count toward the half for large bodies: at most all of that half.
    fn large_of(&self, length: usize, share: Share) -> usize {
        match share {
            Share::Half if length > SMALL => length.min((self.capacity.body_bytes / KIB / 2).max(1) * KIB),
            _ => 0,
        }
    }

    /// The limits.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many calls are being handled.
    pub fn calls_in_progress(&self) -> usize {
        self.capacity.calls.max(1) - self.calls.available_permits()
    }

    /// How many events are being handled.
    pub fn events_in_progress(&self) -> usize {
        self.capacity.events.max(1) - self.events.available_permits()
    }

    /// How many events wait for their turn.
    pub fn events_waiting(&self) -> usize {
        *self.waiting.borrow()
    }
}

fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<Place, BodyError> {
    let places = bytes.div_ceil(KIB) as u32;
    room.clone().try_acquire_many_owned(places).map_err(|_| BodyError::Busy)
}

/// Extends a permit to that many bytes, if it's smaller.
fn grow(place: &mut Place, room: &Arc<Semaphore>, bytes: usize) -> Result<(), BodyError> {
    let held = place.num_permits() * KIB;
    if bytes > held {
        place.merge(take(room, bytes - held)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(length: Option<usize>) -> HeaderMap {
        length.into_iter().map(|length| (header::CONTENT_LENGTH, length.into())).collect()
    }

    fn body(bytes: usize) -> Body {
        let parts = vec![0; bytes].chunks(1000).map(|part| Ok::<_, std::io::Error>(part.to_vec())).collect::<Vec<_>>();
        Body::from_stream(futures::stream::iter(parts))
    }

    fn room(body_bytes: usize) -> Admission {
        Admission::new(Capacity { body_bytes, ..Capacity::default() })
    }

    #[tokio::test]
    async fn bodies_share_a_bounded_room() {
        let room = room(100 * KIB);
        let (first, place) = room.read(&headers(Some(60_000)), body(60_000), 100_000, Share::All).await.unwrap();
        assert_eq!(first.len(), 60_000);
        // Another one is refused at once if it says how long it is, and as soon as it's too much if it doesn't.
        let refused = room.read(&headers(Some(60_000)), body(60_000), 100_000, Share::All).await;
        assert_eq!(refused.err(), Some(BodyError::Busy));
        assert_eq!(room.read(&headers(None), body(60_000), 100_000, Share::All).await.err(), Some(BodyError::Busy));
        assert!(room.read(&headers(Some(30_000)), body(30_000), 100_000, Share::All).await.is_ok());
        drop(place);
        assert!(room.read(&headers(None), body(60_000), 100_000, Share::All).await.is_ok());
        assert_eq!(room.bytes.available_permits(), 100, "all of it is given up");
    }

    #[tokio::test]
    async fn a_body_is_held_to_its_limit_whatever_it_says_of_itself() {
        let room = room(1000 * KIB);
        for length in [None, Some(10), Some(20_000)] {
            let read = room.read(&headers(length), body(20_000), 10_000, Share::All).await;
            assert_eq!(read.err(), Some(BodyError::TooLarge), "{length:?}");
        }
        let (bytes, _) = room.read(&headers(None), body(10_000), 10_000, Share::All).await.unwrap();
        assert_eq!(bytes.len(), 10_000);
        assert_eq!(room.bytes.available_permits(), 1000);
    }

    #[tokio::test]
    async fn a_body_larger_than_the_whole_room_is_taken_when_it_is_alone() {
        let room = room(10 * KIB);
        let (_, place) = room.read(&headers(Some(50_000)), body(50_000), 100_000, Share::All).await.unwrap();
        assert_eq!(room.read(&headers(Some(1)), body(1), 100_000, Share::All).await.err(), Some(BodyError::Busy));
        drop(place);
        assert!(room.read(&headers(Some(1)), body(1), 100_000, Share::All).await.is_ok());
    }

    #[tokio::test]
    async fn nothing_is_begun_while_too_much_memory_is_held() {
        let room = Admission::new(Capacity { memory: Some(1000), ..Capacity::default() });
        room.holds(1000);
        assert!(room.has_call() && room.event().await.is_some());
        room.holds(1001);
        assert!(!room.has_call() && room.event().await.is_none());
        room.holds(999);
        assert!(room.has_call() && room.event().await.is_some());
        let unbounded = self::room(KIB);
        unbounded.holds(u64::MAX);
        assert!(unbounded.has_call());
    }

    #[tokio::test]
    async fn what_is_announced_and_does_not_come_takes_no_room() {
        let room = Arc::new(room(100 * KIB));
        let never = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let slow: Vec<_> = (0..50)
            .map(|_| {
                let room = room.clone();
                tokio::spawn(
                    async move { room.read(&headers(Some(100_000)), never(), 100_000, Share::All).await.is_ok() },
                )
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(room.read(&headers(Some(90_000)), body(90_000), 100_000, Share::All).await.is_ok());
        slow.iter().for_each(|slow| slow.abort());
    }

    /// However many large ones anybody sends: small ones find room, events do, and so do those who look after others.
    #[tokio::test]
    async fn large_bodies_of_anybody_share_half_of_the_room() {
        let room = room(1000 * KIB);
        let share = |share: Share, length: usize| {
            let room = &room;
            async move { room.read(&headers(None), body(length), 1000 * KIB, share).await }
        };
        let mut held = vec![share(Share::Half, 300 * KIB).await.unwrap()];
        assert_eq!(share(Share::Half, 300 * KIB).await.err(), Some(BodyError::Busy));
        let announced = room.read(&headers(Some(300 * KIB)), body(0), 1000 * KIB, Share::Half).await;
        assert_eq!(announced.err(), Some(BodyError::Busy), "before it is waited for");
        held.push(share(Share::Half, 200 * KIB).await.unwrap());
        assert_eq!(share(Share::Half, 65 * KIB).await.err(), Some(BodyError::Busy));
        for _ in 0..3 {
            held.push(share(Share::Half, 64 * KIB).await.unwrap());
        }
        held.push(share(Share::All, 300 * KIB).await.unwrap());
        held.clear();
        assert_eq!((room.bytes.available_permits(), room.large.available_permits()), (1000, 500));
        assert!(share(Share::Half, 900 * KIB).await.is_ok(), "alone, even a larger one is taken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        assert_eq!(room(KIB).read(&headers(Some(10)), never, 100, Share::All).await.err(), Some(BodyError::Broken));
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_waits_for_its_turn_but_not_for_ever() {
        let room = Arc::new(Admission::new(Capacity { events: 1, ..Capacity::default() }));
        let first = room.event().await.unwrap();
        let second = tokio::spawn({
            let room = room.clone();
            async move { room.event().await.is_some() }
        });
        tokio::task::yield_now().await;
        assert_eq!((room.events_in_progress(), room.events_waiting()), (1, 1));
        drop(first);
        assert!(second.await.unwrap());
        let _held = room.event().await.unwrap();
        assert!(room.event().await.is_none());
        assert_eq!((room.events_in_progress(), room.events_waiting()), (1, 0));
    }
}
