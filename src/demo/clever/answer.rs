//! The answers of the fake Clever to requests.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::{Value, json};

use super::district::State;
use super::faults::Fault;
use super::roster::{Kind, scramble};
use super::{All, CLIENT_ID, CLIENT_SECRET, FakeClever, Links, Plan};
use crate::rostering::clever::Version;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// An answer, with how it's to be sent.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// The delay before the answer is sent.
    pub(super) after: Duration,
    /// Whether the connection breaks in the middle of the answer.
    pub(super) is_cut: bool,
}

impl Answer {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Answer {
        let headers = vec![("content-type", content_type.to_owned())];
        Answer { status, headers, body, after: Duration::ZERO, is_cut: false }
    }

    fn json(status: u16, body: &Value) -> Answer {
        Answer::new(status, JSON, body.to_string().into_bytes())
    }

    fn message(status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({ "message": message }))
    }

    fn html(status: u16, text: &str) -> Answer {
        let page = format!("<!DOCTYPE html>\n<html><head><title>{text}</title></head><body>{text}</body></html>\n");
        Answer::new(status, HTML, page.into_bytes())
    }
}

/// The caller of a request, by the request's token.
enum Caller {
    District(usize),
    User(usize, String),
}

/// The parameters of a request for a list.
struct Query<'a> {
    version: Version,
    path: &'a str,
    pairs: Vec<(String, String)>,
    base: &'a Url,
}

impl Query<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A link to this list with the parameters `instead` replaced and those in `without` removed.
    fn link(&self, links: &Links, instead: &[(&str, &str)], without: &[&str]) -> String {
        let mut url = self.base.clone();
        url.set_path(self.path);
        {
            let mut query = url.query_pairs_mut();
            query.clear();
            for (key, value) in &self.pairs {
                if !instead.iter().any(|(name, _)| name == key) && !without.contains(&key.as_str()) {
                    query.append_pair(key, value);
                }
            }
            query.extend_pairs(instead);
        }
        let relative = match url.query().filter(|query| !query.is_empty()) {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        match links {
            Links::Relative => relative,
            Links::Absolute => url.to_string(),
            Links::Elsewhere(host) => format!("https://{host}{relative}"),
        }
    }
}

/// The kind of records in the list with this name.
fn list_kind(name: &str) -> Option<Kind> {
    Some(match name {
        "districts" => Kind::District,
        "schools" => Kind::School,
        "sections" => Kind::Section,
        "users" => Kind::User,
        _ => return None,
    })
}

impl FakeClever {
    /// Answers a GET request for the path and query, at a server whose address is `base`.
    pub(super) fn answer(&self, base: &Url, path: &str, query: Option<&str>, authorization: Option<&str>) -> Answer {
        let mut url = base.clone();
        url.set_path(path);
        url.set_query(query);
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let version = match segments.first() {
            Some(&"v3.0") => Some(Version::V3_0),
            Some(&"v3.1") => Some(Version::V3_1),
            _ => None,
        };
        if version.is_some() {
            segments.remove(0);
        }
        let bare = format!("/{}", segments.join("/"));
        let pairs = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        let query = Query { version: version.unwrap_or_default(), path, pairs, base };
        let mut state = self.0.state.lock();
        let template = match segments.as_slice() {
            [list, _] if list_kind(list).is_some() => format!("/{list}/{{id}}"),
            _ => bare.clone(),
        };
        *state.requests.entry(template).or_default() += 1;
        let fault = state.faults.next(&bare);
        match fault {
            Some(Fault::Replaced) => state.districts.iter_mut().for_each(State::renew_token),
            Some(Fault::Revoked) => state.faults.are_revoked = true,
            _ => {}
        }
        let answer = match (version, segments.as_slice()) {
            (None, ["oauth", "tokens"]) => self.tokens(&state, &query, authorization, fault.as_ref()),
            (Some(_), segments) => self.data(&mut state, &query, segments, authorization, fault.as_ref()),
            _ => Answer::message(404, "Not found"),
        };
        let due = due(&mut state, &bare);
        drop(state);
        for plan in due {
            (plan.change)(self);
        }
        spoil(answer, fault, self.0.context.now().as_second())
    }

    fn tokens(&self, state: &All, query: &Query<'_>, authorization: Option<&str>, fault: Option<&Fault>) -> Answer {
        let expected = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        if authorization != Some(expected.as_str()) {
            let error = json!({"error": "invalid_client", "error_description": "Client authentication failed"});
            return Answer::json(401, &error);
        }
        if query.get("owner_type") != Some("district") {
            return Answer::message(400, "owner_type must be district");
        }
        let connected = state.districts.iter().filter_map(|district| Some((district.roster, district.token?)));
        let tokens = connected.filter_map(|(roster, serial)| {
            let id = roster.id(Kind::District, 0);
            let is_asked_for = query.get("district").is_none_or(|asked| asked == id);
            (is_asked_for && fault != Some(&Fault::Empty)).then(|| {
                json!({
                    "id": format!("{}{:02x}", &id[..22], serial & 0xff), "created": "2026-08-01T12:00:00.000Z",
                    "owner": {"type": "district", "id": id}, "access_token": self.district_token(&roster, serial),
                    "scopes": ["read:sis", "read:user_id"],
                })
            })
        });
        let links = json!([{"rel": "self", "uri": query.link(&Links::Relative, &[], &[])}]);
        Answer::json(200, &json!({"data": tokens.collect::<Vec<_>>(), "links": links}))
    }

    fn data(
        &self,
        state: &mut All,
        query: &Query<'_>,
        segments: &[&str],
        authorization: Option<&str>,
        fault: Option<&Fault>,
    ) -> Answer {
        let token = authorization.and_then(|header| header.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
        let Some(caller) = self.caller(state, &token) else { return Answer::message(401, "Unauthorized") };
        let now = self.0.context.now();
        let window = (state.options.window.as_millis() as i64).max(1000);
        let current = now.as_millisecond().div_euclid(window);
        let limit = state.options.rate;
        let made = state.windows.entry(token.clone()).or_insert((current, 0));
        if made.0 != current {
            *made = (current, 0);
        }
        let is_over = made.1 >= limit;
        made.1 += u32::from(!is_over);
        let rate = [
            ("X-RateLimit-Bucket", "data".to_owned()),
            ("X-RateLimit-Limit", limit.to_string()),
            ("X-RateLimit-Remaining", (limit - made.1).to_string()),
            // The header has whole seconds, which is exact because windows end on whole seconds.
            ("X-RateLimit-Reset", ((current + 1) * window).div_euclid(1000).to_string()),
        ];
        let mut answer = if is_over {
            state.refused += 1;
            Answer::message(429, "Rate limit exceeded")
        } else {
            state.arrivals.entry(token).or_default().push(now);
            let is_empty = fault == Some(&Fault::Empty);
            match (caller, segments) {
                (Caller::District(number), [list]) => list_of(state, number, list, query, is_empty),
                (Caller::District(number), [list, id]) => single(state, number, list, id, query),
                (Caller::User(number, user), ["me"]) => me(state, number, &user, query),
                (Caller::User(number, user), ["users", id]) if *id == user => single(state, number, "users", id, query),
                (Caller::User(number, _), ["districts", id]) => single(state, number, "districts", id, query),
                // The wrong kind of token (docs/domain/wire-formats.md#tokens-at-clever).
                (Caller::User(..), [_] | [_, _]) => Answer::html(404, "Resource not in token's scopes"),
                _ => Answer::message(404, "Not found"),
            }
        };
        answer.headers.extend(rate);
        answer
    }

    fn caller(&self, state: &All, token: &str) -> Option<Caller> {
        let is_of = |district: &State| {
            district.token.is_some_and(|serial| self.district_token(&district.roster, serial) == token)
        };
        match state.districts.iter().position(is_of) {
            Some(_) if state.faults.are_revoked => None,
            Some(number) => Some(Caller::District(number)),
            None => state.users.get(token).map(|(number, user)| Caller::User(*number, user.clone())),
        }
    }
}

/// The planned changes that are due after a request for this path.
fn due(state: &mut All, path: &str) -> Vec<Plan> {
    for plan in state.plans.iter_mut().filter(|plan| path.starts_with(plan.path.as_str())) {
        plan.requests = plan.requests.saturating_sub(1);
    }
    let (due, later) = std::mem::take(&mut state.plans).into_iter().partition(|plan| plan.requests == 0);
    state.plans = later;
    Vec::from_iter::<std::collections::VecDeque<_>>(due)
}

/// Applies a fault to an answer.
fn spoil(mut answer: Answer, fault: Option<Fault>, now: i64) -> Answer {
    match fault {
        // These faults take effect elsewhere, before the answer is made.
        None | Some(Fault::Empty | Fault::Replaced | Fault::Revoked) => {}
        Some(Fault::RateLimited(wait)) => {
            answer = Answer::message(429, "Rate limit exceeded");
            answer.headers.push(("x-ratelimit-reset", (now + wait.as_secs() as i64).to_string()));
        }
        Some(Fault::Status(status @ (413 | 502..))) => answer = Answer::html(status, "Something went wrong"),
        Some(Fault::Status(status)) => answer = Answer::message(status, "Something went wrong"),
        Some(Fault::Slow(time)) => answer.after = time,
        Some(Fault::Cut) => answer.is_cut = true,
        Some(Fault::Truncated) => answer.body.truncate(answer.body.len() / 2),
        Some(Fault::Html) => answer = Answer::html(200, "Down for maintenance"),
    }
    answer
}

fn me(state: &All, number: usize, user: &str, query: &Query<'_>) -> Answer {
    let district = state.districts[number].roster.id(Kind::District, 0);
    let version = query.version.as_str();
    let uri = |path: String| match &state.options.links {
        Links::Relative => path,
        Links::Absolute => query.base.join(&path).map(String::from).unwrap_or(path),
        Links::Elsewhere(host) => format!("https://{host}{path}"),
    };
    let body = json!({
        "type": "user",
        "data": {"id": user, "district": district, "type": "user", "authorized_by": "district"},
        "links": [
            {"rel": "self", "uri": "/me"},
            {"rel": "canonical", "uri": uri(format!("/{version}/users/{user}"))},
            {"rel": "district", "uri": uri(format!("/{version}/districts/{district}"))},
        ],
    });
    Answer::json(200, &body)
}

fn single(state: &All, number: usize, list: &str, id: &str, query: &Query<'_>) -> Answer {
    let district = &state.districts[number];
    let found = list_kind(list).and_then(|kind| {
        let (of, index) = district.roster.read_id(id)?;
        if of == kind { district.record(kind, index, query.version) } else { None }
    });
    match found {
        Some(record) => Answer::json(200, &json!({ "data": record })),
        None => Answer::message(404, "Resource not found"),
    }
}

fn list_of(state: &mut All, number: usize, list: &str, query: &Query<'_>, is_empty: bool) -> Answer {
    let Some(kind) = list_kind(list) else { return Answer::message(404, "Not found") };
    state.answered += 1;
    let limit = match query.get("limit").map(str::parse::<usize>) {
        None => 100,
        Some(Ok(limit)) if limit > state.options.largest_page => return Answer::html(413, "Request too large"),
        Some(Ok(limit)) if limit > 0 => limit,
        Some(_) => return Answer::message(400, "limit must be a positive number"),
    };
    let is_short = state.options.short_pages && scramble(state.answered ^ state.options.seed).is_multiple_of(3);
    let size = if is_short { limit / 2 + 1 } else { limit };
    let (district, links) = (&state.districts[number], &state.options.links);
    let roles = ["student", "teacher", "staff", "district_admin", "contact"];
    let role = query.get("role");
    if role.is_some_and(|role| kind != Kind::User || !roles.contains(&role)) {
        return Answer::message(400, "role must be one of student, teacher, staff, district_admin, contact");
    }
    let place = |name: &str| match query.get(name) {
        None => Ok(None),
        Some("last") if name == "ending_before" => Ok(Some(u64::MAX)),
        Some(id) => match district.roster.read_id(id) {
            Some((of, index)) if of == kind => Ok(Some(index)),
            _ => Err(Answer::message(400, "not an ID of that list")),
        },
    };
    let (after, before) = match (place("starting_after"), place("ending_before")) {
        (Ok(after), Ok(before)) => (after, before),
        (Err(answer), _) | (_, Err(answer)) => return answer,
    };
    let length = if is_empty { 0 } else { district.length(kind) };
    let is_in = |index: &u64| district.is_there(kind, *index) && role.is_none_or(|role| district.holds(*index, role));
    let (from, to) = (after.map_or(0, |after| after + 1).min(length), before.unwrap_or(length).min(length));
    let indexes: Vec<u64> = match before {
        None => (from..length).filter(is_in).take(size).collect(),
        Some(_) => {
            let mut indexes: Vec<u64> = (0..to).rev().filter(is_in).take(size).collect();
            indexes.reverse();
            indexes
        }
    };
    let id = |index: u64| district.roster.id(kind, index);
    let mut told = vec![json!({"rel": "self", "uri": query.link(&Links::Relative, &[], &[])})];
    if let Some(last) = indexes.last().filter(|last| (**last + 1..length).any(|index| is_in(&index))) {
        let next = query.link(links, &[("starting_after", &id(*last))], &["ending_before"]);
        told.push(json!({"rel": "next", "uri": next}));
    }
    if let Some(first) = indexes.first().filter(|first| (0..**first).any(|index| is_in(&index))) {
        let prev = query.link(links, &[("ending_before", &id(*first))], &["starting_after"]);
        told.push(json!({"rel": "prev", "uri": prev}));
    }
    // Records are serialized one by one, because a large page would take much memory as JSON values.
    let mut body = br#"{"data":["#.to_vec();
    for (place, index) in indexes.iter().enumerate() {
        let Some(record) = district.record(kind, *index, query.version) else { continue };
        if place > 0 {
            body.push(b',');
        }
        let uri = format!("/{}/{list}/{}", query.version, id(*index));
        body.extend(json!({"data": record, "uri": uri}).to_string().into_bytes());
    }
    body.extend(format!(r#"],"links":{}"#, Value::Array(told)).into_bytes());
    if query.get("count") == Some("true") {
        body.extend(format!(r#","count":{}"#, (0..length).filter(is_in).count()).into_bytes());
    }
    body.push(b'}');
    Answer::new(200, JSON, body)
}
