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

/// The properties of a fake Clever.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed from which the districts are generated.
    pub seed: u64,
    /// The sizes of the districts.
    pub districts: Vec<Size>,
    /// Whether some records have undocumented values.
    pub unknown_values: bool,
    /// The rate limit: the number of requests of each token in a window.
    pub rate: u32,
    /// The rate limit's window, in whole seconds.
    pub window: Duration,
    /// The limit of records in a page; requests for more are refused with 413.
    pub largest_page: usize,
    /// Whether pages are sometimes shorter than they might be, though more follow.
    pub short_pages: bool,
    /// The form of links to next pages.
    pub links: Links,
}

/// The form of links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Links {
    /// Paths without a host.
    #[default]
    Relative,
    /// Absolute URLs of the same server.
    Absolute,
    /// Absolute URLs of another host, the one given.
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
    /// The default properties, with one district of the given size.
    pub fn of(size: Size) -> Options {
        Options { districts: vec![size], ..Options::default() }
    }
}

/// The client ID of the app that may fetch tokens.
pub const CLIENT_ID: &str = "fake-client";
/// The client secret of this app.
pub const CLIENT_SECRET: &str = "fake-client-secret";

/// A fake Clever. Cheap to clone; clones share their state.
#[derive(Clone)]
pub struct FakeClever(Arc<Fake>);

struct Fake {
    context: Context,
    state: Mutex<All>,
}

/// The mutable state.
struct All {
    options: Options,
    districts: Vec<State>,
    /// The users who signed in, by token: the district's number and the user's ID.
    users: HashMap<String, (usize, String)>,
    faults: Faults,
    /// By token, the current window and the number of requests in this window.
    windows: HashMap<String, (i64, u32)>,
    requests: BTreeMap<String, u64>,
    /// By token, the times of the requests within the token's rate limit.
    arrivals: HashMap<String, Vec<Timestamp>>,
    refused: u64,
    plans: VecDeque<Plan>,
    answered: u64,
}

/// A change that happens after a request.
struct Plan {
    path: String,
    /// How many more requests for the path come before the change.
    requests: u64,
    change: Box<dyn FnOnce(&FakeClever) + Send>,
}

impl FakeClever {
    /// A fake Clever that takes the time from `context`.
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

    /// The district with the given number, counted from 0.
    pub fn district(&self, number: usize) -> FakeDistrict {
        assert!(number < self.0.state.lock().districts.len(), "there are fewer districts");
        FakeDistrict { fake: self.clone(), number }
    }

    /// Changes the properties of the fake Clever. Changes of the seed and the districts have no effect.
    pub fn configure(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.0.state.lock().options);
    }

    /// Lets the next requests fail whose paths, without the version, begin with `path`: `/users`, or `/oauth/tokens`.
    /// Each request gets one of the faults, in order.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.0.state.lock().faults.add(path, faults);
    }

    /// Lets `per_mille` of a thousand requests fail with one of these faults, but at most `at_most` requests in a row.
    pub fn fail_at_random(&self, faults: &[Fault], seed: u64, per_mille: u64, at_most: u32) {
        self.0.state.lock().faults.at_random(faults.to_vec(), seed, per_mille, at_most);
    }

    /// Clears all faults and all changes planned by [`FakeClever::after`].
    pub fn recover(&self) {
        let mut state = self.0.state.lock();
        state.faults.clear();
        state.plans.clear();
    }

    /// Plans `change` for the time after the `requests`-th request from now whose path begins with `path`, and before
    /// the next request.
    pub fn after(&self, path: &str, requests: u64, change: impl FnOnce(&FakeClever) + Send + 'static) {
        let plan = Plan { path: path.to_owned(), requests, change: Box::new(change) };
        self.0.state.lock().plans.push_back(plan);
    }

    /// The number of requests so far, by path: `/users`, `/users/{id}`.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.0.state.lock().requests.clone()
    }

    /// The number of requests for this path so far: `/users`, `/users/{id}`.
    pub fn asked(&self, path: &str) -> u64 {
        self.0.state.lock().requests.get(path).copied().unwrap_or(0)
    }

    /// The number of requests that had a fault.
    pub fn failed(&self) -> u64 {
        self.0.state.lock().faults.happened
    }

    /// The number of requests beyond their token's rate limit.
    pub fn over_rate(&self) -> u64 {
        self.0.state.lock().refused
    }

    /// The times of the requests with this token that were within its rate limit.
    pub fn arrivals(&self, token: &SecretString) -> Vec<Timestamp> {
        self.0.state.lock().arrivals.get(token.expose_secret()).cloned().unwrap_or_default()
    }

    /// The settings of a client for a fake Clever that's served at `url`.
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
