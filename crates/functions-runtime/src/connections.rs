//! Accepts connections and serves HTTP/1 on them, with a limit on their number and timeouts for slow clients, both of
//! which `axum::serve` lacks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

/// How long a connection may be idle, and how long receiving the head of a request may take. Longer than proxies
/// usually keep idle connections, so that the proxy closes first and never sends a request on a connection that is
/// being closed.
const IDLE: Duration = Duration::from_secs(75);
/// How long a client may read nothing of an answer.
const STALLED: Duration = Duration::from_secs(60);
/// How many bytes of a request, including its head, are buffered.
const MOST_BUFFERED: usize = 128 * 1024;
/// How long to wait when the system can't open another connection (out of file descriptors, say).
const EXHAUSTED: Duration = Duration::from_secs(1);

/// Timeouts for slow clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    pub idle: Duration,
    pub stalled: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { idle: IDLE, stalled: STALLED }
    }
}

/// Serves until `closing` is cancelled; then accepts no new connection, and ends when the requests under way are
/// answered. `room` has a permit for each connection.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    room: Arc<Semaphore>,
    timeouts: Timeouts,
    closing: CancellationToken,
) {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(timeouts.idle).max_buf_size(MOST_BUFFERED);
    loop {
        let next = async {
            // Fails only when the semaphore is closed, which it never is.
            let place = room.clone().acquire_owned().await.ok();
            (place, accept(&listener).await)
        };
        let (place, (stream, peer)) = tokio::select! {
            () = closing.cancelled() => break,
            next = next => next,
        };
        // Answers are written at once, so the system need not wait for more bytes (Nagle's algorithm).
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        // No timeout on reading: while a handler runs, which may take an hour, the client sends nothing.
        stream.set_write_timeout(Some(timeouts.stalled));
        let routes = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            routes.call(request.map(Body::new))
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
        tokio::spawn(async move {
            let _place = place;
            // Nobody is left to answer.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted for now");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// The address of a server with that many places.
    async fn start(places: usize, timeouts: Timeouts) -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, closing) = (listener.local_addr().unwrap(), CancellationToken::new());
        let large = || async { vec![b'x'; 64 << 20] };
        let router = Router::new()
            .route("/", get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.ip().to_string() }))
            .route("/large", get(large))
            .route("/echo", post(|body: String| async { body }));
        tokio::spawn(serve(listener, router, Arc::new(Semaphore::new(places)), timeouts, closing.clone()));
        (address, closing)
    }

    fn timeouts(milliseconds: u64) -> Timeouts {
        let timeouts = Duration::from_millis(milliseconds);
        Timeouts { idle: timeouts, stalled: timeouts }
    }

    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Waits until the server has closed the connection, or reset it. (A connection that stays open makes the test
    /// hang, and so fail.)
    async fn closed(stream: &mut TcpStream) {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }

    /// Timeouts that no test reaches, even where paused time jumps to the next timer.
    fn none() -> Timeouts {
        let never = Duration::from_secs(1_000_000);
        Timeouts { idle: never, stalled: never }
    }

    const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    #[tokio::test]
    async fn handlers_learn_who_is_there_and_connections_are_kept() {
        let (address, _closing) = start(8, Timeouts::default()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..2 {
            let answer = ask(&mut stream, GET).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
        }
    }

    // Time is paused in the tests below: it jumps to the next timer whenever everything waits.

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_or_speaks_slowly_is_hung_up_on() {
        let (address, _closing) = start(8, timeouts(100)).await;
        let mut silent = TcpStream::connect(address).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        ask(&mut idle, GET).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        let drip = async {
            for byte in b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat_n(&b'a', 1000)) {
                if slow.write_all(&[*byte]).await.is_err() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            false
        };
        assert!(drip.await, "one byte at a time, however steadily, is too slow");
        closed(&mut silent).await;
        closed(&mut idle).await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_the_answer_is_hung_up_on() {
        let (address, closing) = start(1, timeouts(100)).await;
        let mut stalled = TcpStream::connect(address).await.unwrap();
        ask(&mut stalled, "GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
        // The only place is free again, though the first connection was never closed by its client.
        let mut next = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut next, GET).await.starts_with("HTTP/1.1 200"));
        closing.cancel();
        drop(stalled);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_beyond_the_room_wait_for_a_place() {
        let (address, _closing) = start(1, none()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        assert!(ask(&mut first, GET).await.starts_with("HTTP/1.1 200"));
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(GET.as_bytes()).await.unwrap();
        let mut answer = [0; 64];
        assert!(tokio::time::timeout(Duration::from_millis(100), second.read(&mut answer)).await.is_err());
        drop(first);
        assert!(second.read(&mut answer).await.unwrap() > 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_lets_answers_out_and_closes_who_is_idle() {
        let (address, closing) = start(8, none()).await;
        let mut idle = TcpStream::connect(address).await.unwrap();
        ask(&mut idle, GET).await;
        let mut busy = TcpStream::connect(address).await.unwrap();
        let head = "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n";
        busy.write_all(head.as_bytes()).await.unwrap();
        // Returns when the server has read what came, and waits for the rest.
        tokio::time::sleep(Duration::from_millis(50)).await;
        closing.cancel();
        closed(&mut idle).await;
        let answer = ask(&mut busy, "ping").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ping"), "{answer}");
        closed(&mut busy).await;
        let refused = TcpStream::connect(address).await;
        assert!(refused.is_err(), "nobody listens any more");
    }
}
