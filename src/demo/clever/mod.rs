//! A fake Clever: a server with made-up districts of any size that behaves as Clever does
//! (docs/domain/wire-formats.md#clevers-data-api), and fails on demand. For demonstrations, tests and benchmarks.
//!
//! It answers over HTTP on loopback ([`FakeClever::serve`]), or without sockets ([`FakeClever::transport`]), so that
//! tests can pause time.

mod answer;
mod control;
mod district;
mod faults;
mod handle;
mod records;
mod roster;
mod wire;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

pub use self::faults::Fault;
pub use self::handle::FakeDistrict;
pub use self::roster::{Kind, Person, Roster, Size};
pub use self::wire::{Served, Sockless};

use self::district::State;
use self::faults::Faults;
use self::roster::scramble;
use crate::context::Context;
use crate::rostering::clever::Settings;

/// What a fake Clever is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// What its districts follow from.
    pub seed: u64,
    /// Its districts.
    pub districts: Vec<Size>,
    /// Whether some records have values that nobody has documented.
    pub unknown_values: bool,
    /// Requests of each token in a window.
    pub rate: u32,
    /// The window, of whole seconds.
    pub window: Duration,
    /// The largest page; more is refused with 413.
    pub largest_page: usize,
    /// Whether pages are sometimes shorter than they might be, though more follow.
    pub short_pages: bool,
    /// What links to next pages look like.
    pub links: Links,
}

/// What links look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Paths.
    #[default]
    Relative,
    /// Whole addresses.
    Absolute,
    /// Whole addresses of another host: that one.
    Elsewhere(String),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            seed: 1,
            districts: vec![Size::of(200)],
            unknown_values: false,
            rate: 1200,
            window: Duration::from_secs(60),
            largest_page: 10_000,
            short_pages: false,
            links: Links::Relative,
        }
    }
}

impl Options {
    /// With one district of that size.
    pub fn of(size: Size) -> Options {
        Options { districts: vec![size], ..Options::default() }
    }
}

/// The ID of the app that may ask.
pub const CLIENT_ID: &str = "fake-client";
/// Its secret.
pub const CLIENT_SECRET: &str = "fake-client-secret";

/// A fake Clever. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct FakeClever(Arc<Fake>);

struct Fake {
    context: Context,
    state: Mutex<All>,
}

/// All that changes.
struct All {
    options: Options,
    districts: Vec<State>,
    /// Who signed in: the district's number and the user's ID, by token.
    users: HashMap<String, (usize, String)>,
    faults: Faults,
    /// The window of each token, and the requests in it.
    windows: HashMap<String, (i64, u32)>,
    requests: BTreeMap<String, u64>,
    /// When requests came that were within their token's rate, by token.
    arrivals: HashMap<String, Vec<Timestamp>>,
    refused: u64,
    plans: VecDeque<Plan>,
    answered: u64,
}

/// What is to happen after a request.
struct Plan {
    path: String,
    /// How many more requests of that path it takes.
    requests: u64,
    change: Box<dyn FnOnce(&FakeClever) + Send>,
}

impl FakeClever {
    /// One that tells the time by `context`.
    pub fn new(options: Options, context: Context) -> FakeClever {
        let roster = |(number, size): (usize, &Size)| Roster { seed: options.seed, number: number as u64, size: *size };
        let rosters = options.districts.iter().enumerate().map(roster);
        let districts = rosters.map(|roster| State::new(roster, options.unknown_values)).collect();
        let state = All {
            options,
            districts,
            users: HashMap::new(),
            faults: Faults::default(),
            windows: HashMap::new(),
            requests: BTreeMap::new(),
            arrivals: HashMap::new(),
            refused: 0,
            plans: VecDeque::new(),
            answered: 0,
        };
        FakeClever(Arc::new(Fake { context, state: Mutex::new(state) }))
    }

    /// The district of that number, from 0.
    pub fn district(&self, number: usize) -> FakeDistrict {
        assert!(number < self.0.state.lock().districts.len(), "there are fewer districts");
        FakeDistrict { fake: self.clone(), number }
    }

    /// Changes what it's like. The seed and the districts stay.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.0.state.lock().options);
    }

    /// The next requests fail whose paths, without the version, begin so: `/users`, or `/oauth/tokens`. One fault
    /// each, in order.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.0.state.lock().faults.add(path, faults);
    }

    /// That many of a thousand requests fail in one of these ways, but no more than `at_most` in a row.
    pub fn fail_at_random(&self, faults: &[Fault], seed: u64, per_mille: u64, at_most: u32) {
        self.0.state.lock().faults.at_random(faults.to_vec(), seed, per_mille, at_most);
    }

    /// Nothing fails any more, and nothing is to happen after requests.
    pub fn recover(&self) {
        let mut state = self.0.state.lock();
        state.faults.clear();
        state.plans.clear();
    }

    /// After the `requests`-th request from now whose path begins so, and before any other, `change` happens.
    pub fn after(&self, path: &str, requests: u64, change: impl FnOnce(&FakeClever) + Send + 'static) {
        let plan = Plan { path: path.to_owned(), requests, change: Box::new(change) };
        self.0.state.lock().plans.push_back(plan);
    }

    /// How many requests there were, by path: `/users`, `/users/{id}`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.0.state.lock().requests.clone()
    }

    /// How many requests there were of that path: `/users`, `/users/{id}`.
    pub fn asked(&self, path: &str) -> u64 {
        self.0.state.lock().requests.get(path).copied().unwrap_or(0)
    }

    /// How many requests were to fail.
    pub fn failed(&self) -> u64 {
        self.0.state.lock().faults.happened
    }

    /// How many requests came beyond their token's rate.
    pub fn over_rate(&self) -> u64 {
        self.0.state.lock().refused
    }

    /// When requests with that token came.
    pub fn arrivals(&self, token: &SecretString) -> Vec<Timestamp> {
        self.0.state.lock().arrivals.get(token.expose_secret()).cloned().unwrap_or_default()
    }

    /// How a client asks it, when it's served there.
    pub fn settings(url: &Url) -> Settings {
        Settings {
            api: url.clone(),
            oauth: url.clone(),
            version: Default::default(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.into(),
            page_limit: 10_000,
            requests_a_minute: 1200,
            attempts: 6,
            timeout: Duration::from_secs(60),
            pause: Duration::from_millis(500),
            longest_wait: Duration::from_secs(120),
        }
    }

    fn district_token(&self, roster: &Roster, serial: u64) -> String {
        format!("{:016x}{:016x}", roster.dice("token", serial), scramble(roster.dice("more", serial)))
    }
}
