//! Calls whose answer is lost on the way: made again only where twice is as good as once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use document_store::fields;
use document_store::firestore::{FirestoreConfig, FirestoreStore};
use document_store::{Committed, Database, Precondition, StoreError, Transform, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::{field, int, path};
use firebase_emulators::{firestore_host, unique_project};

/// A proxy before the emulator that can hold back its answers, and then cut the connections.
struct Proxy {
    host: String,
    mute: Arc<AtomicBool>,
    cut: Arc<Notify>,
}

impl Proxy {
    async fn start() -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let proxy =
            Proxy { host: listener.local_addr().unwrap().to_string(), mute: Arc::default(), cut: Arc::default() };
        let (mute, cut) = (proxy.mute.clone(), proxy.cut.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(firestore_host()).await.unwrap();
                let (mute, cut) = (mute.clone(), cut.clone());
                tokio::spawn(async move {
                    // The cut comes first: an answer that arrives just then must not slip through.
                    tokio::select! {
                        biased;
                        () = cut.notified() => {}
                        _ = pass(client, server, &mute) => {}
                    }
                });
            }
        });
        proxy
    }

    /// From now on no answer comes through.
    fn mute(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }

    /// Breaks every connection; new ones work.
    fn cut(&self) {
        self.mute.store(false, Ordering::SeqCst);
        self.cut.notify_waiters();
    }
}

async fn pass(client: TcpStream, server: TcpStream, mute: &AtomicBool) -> std::io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let answers = async {
        let mut buffer = [0; 16 << 10];
        loop {
            let length = from_server.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            if !mute.load(Ordering::SeqCst) {
                to_client.write_all(&buffer[..length]).await?;
            }
        }
    };
    tokio::try_join!(requests, answers).map(drop)
}

/// A database by way of a proxy, and the same one directly.
struct Fault {
    proxy: Proxy,
    through: Database,
    direct: Database,
}

impl Fault {
    async fn start() -> Fault {
        let proxy = Proxy::start().await;
        let project = unique_project("faults");
        let open = async |host: &str| {
            let config = FirestoreConfig { connections: 1, ..FirestoreConfig::new(&project, "(default)") };
            Database::new(Arc::new(FirestoreStore::open(config.on_emulator(host)).await.unwrap()))
        };
        let (through, direct) = (open(&proxy.host).await, open(firestore_host()).await);
        through.ping().await.unwrap();
        Fault { proxy, through, direct }
    }

    /// Makes a commit whose answer is lost, though it happens: its outcome.
    async fn lose_answer(&self, write: Write) -> Result<Option<Committed>, StoreError> {
        let at = write.path.clone();
        let before = self.direct.get(&at).await.unwrap();
        self.proxy.mute();
        let through = self.through.clone();
        let commit: JoinHandle<_> = tokio::spawn(async move { through.commit(vec![write]).await });
        while self.direct.get(&at).await.unwrap() == before {
            tokio::task::yield_now().await;
        }
        self.proxy.cut();
        commit.await.unwrap()
    }
}

#[tokio::test]
async fn a_commit_that_may_happen_twice_is_made_again() {
    let fault = Fault::start().await;
    let set = Write::set(path("x/a"), fields! {"n" => 1}).with(field("m"), Transform::Maximum(int(3)));
    let done = fault.lose_answer(set).await.unwrap().unwrap();
    let document = fault.direct.get(&path("x/a")).await.unwrap().unwrap();
    assert_eq!(document.fields, fields! {"n" => 1, "m" => 3});
    assert_eq!(done.results[0].update_time, Some(document.update_time));
    assert!(document.update_time < done.time, "the second time it changed nothing");
}

#[tokio::test]
async fn an_increment_is_not_made_again() {
    let fault = Fault::start().await;
    let write = Write::transform(path("x/a"), vec![]).with(field("n"), Transform::Increment(int(1)));
    let outcome = fault.lose_answer(write).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(fault.direct.get(&path("x/a")).await.unwrap().unwrap().fields, fields! {"n" => 1});
}

#[tokio::test]
async fn a_precondition_does_not_fail_on_its_own_success() {
    let fault = Fault::start().await;
    let outcome = fault.lose_answer(Write::create(path("x/a"), fields! {"n" => 1})).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    let outcome = fault.lose_answer(Write::delete(path("x/a")).when(Precondition::Exists)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
    assert_eq!(fault.direct.get(&path("x/a")).await.unwrap(), None);
}

#[tokio::test]
async fn reads_outlive_a_broken_connection() {
    let fault = Fault::start().await;
    fault.direct.commit(vec![Write::set(path("x/a"), fields! {"n" => 1})]).await.unwrap();
    for _ in 0..3 {
        fault.proxy.mute();
        let through = fault.through.clone();
        let read = tokio::spawn(async move {
            let found = through.get(&path("x/a")).await?;
            let query = document_store::Query::collection("x");
            Ok::<_, StoreError>((found, through.query(query.clone()).await?.len(), through.count(query).await?))
        });
        // Something went out and will not be answered.
        fault.direct.ping().await.unwrap();
        fault.proxy.cut();
        let (found, queried, counted) = read.await.unwrap().unwrap();
        assert_eq!((found.is_some(), queried, counted), (true, 1, 1));
    }
}
