//! Changes to JSON that leave it JSON: made byte by byte, most inputs would be refused by the parser.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Value as Json, json};

/// Texts that mean something to somebody: IDs, keys, times, numbers.
const WORDS: [&str; 48] = [
    "",
    " ",
    ".",
    "..",
    "/",
    "a/b",
    "__x__",
    "____",
    "a-b",
    "a_b",
    "\u{0}",
    "é",
    "😀",
    "d1",
    "s1",
    "c1",
    "g1",
    "f1",
    "5a",
    "@time",
    "@double",
    "@type",
    "NaN",
    "-inf",
    "0",
    "01",
    "1.5",
    "1e400",
    "9223372036854775808",
    "2026-01-01",
    "0000-01-01",
    "2016-02-29T23:59:59.999Z",
    "9999-12-31T23:59:59Z",
    "1/1/0000",
    "2/29/2016",
    "null",
    "true",
    "const",
    "AND",
    "OR",
    "EQUAL",
    "NOT_EQUAL",
    "LESS_THAN",
    "age",
    "studentData.grade",
    "Kindergarten",
    "student",
    "swr",
];

/// Pseudo-random numbers (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end.max(1) as u64) as usize
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.below(WORDS.len())]
    }
}

/// Mostly changes a line that is JSON as JSON, else bytes as libFuzzer does.
pub fn mutate_json(data: &mut [u8], size: usize, most: usize, seed: u32) -> usize {
    let mut chance = Chance(seed.into());
    if chance.below(4) > 0
        && let Some(changed) = change_a_line(&data[..size], &mut chance).filter(|changed| changed.len() <= most)
    {
        data[..changed.len()].copy_from_slice(&changed);
        return changed.len();
    }
    fuzzer_mutate(data, size, most)
}

fn change_a_line(bytes: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let start = chance.below(lines.len());
    let places = (start..lines.len()).chain(0..start);
    let (place, mut json) =
        places.filter_map(|at| Some((at, serde_json::from_slice::<Json>(&lines[at]).ok()?))).next()?;
    for _ in 0..=chance.below(3) {
        change(&mut json, chance);
    }
    lines[place] = json.to_string().into_bytes();
    Some(lines.join(&b'\n'))
}

fn change(json: &mut Json, chance: &mut Chance) {
    let (from, to) = (chance.below(count(json)), chance.below(count(json)));
    let other = nth(json, &mut { from }).map(|json| json.clone()).unwrap_or_default();
    let Some(here) = nth(json, &mut { to }) else { return };
    let how = chance.below(8);
    match (here, how) {
        (Json::Object(entries), 0..=4) => {
            let key = entries.keys().nth(chance.below(entries.len())).cloned();
            let named = other.as_object().and_then(|other| other.iter().nth(chance.below(other.len())));
            match (how, key, named) {
                (0, Some(key), _) => drop(entries.remove(&key)),
                (1, Some(key), _) => {
                    let entry = entries.remove(&key).unwrap_or_default();
                    entries.insert(chance.word().to_owned(), entry);
                }
                (2, _, Some((key, entry))) => drop(entries.insert(key.clone(), entry.clone())),
                (3, Some(key), _) => drop(entries.insert(key, other)),
                _ => drop(entries.insert(chance.word().to_owned(), leaf(chance))),
            }
        }
        (Json::Array(items), 0..=4) => {
            let at = chance.below(items.len() + 1);
            match how {
                0 if at < items.len() => drop(items.remove(at)),
                1 if at < items.len() => items.insert(at, items[at].clone()),
                2 => items.insert(at, leaf(chance)),
                _ => items.insert(at, other),
            }
        }
        (here, 5) => *here = json!([here.take()]),
        (here, 6) => *here = json!({ chance.word(): here.take() }),
        (here, 7) => *here = other,
        (here, _) => *here = leaf(chance),
    }
}

fn leaf(chance: &mut Chance) -> Json {
    match chance.below(12) {
        0 => Json::Null,
        1 => json!(chance.below(2) == 0),
        2 => json!(chance.below(20) as i64 - 2),
        3 => json!([i64::MIN, i64::MAX, -62_135_596_801, 1 << 53][chance.below(4)]),
        4 => json!([-0.0, 0.5, 1e308, 5e-324][chance.below(4)]),
        5 => json!(u64::MAX),
        6 => json!([]),
        7 => json!({}),
        _ => json!(chance.word()),
    }
}

/// How many values there are, one in another.
fn count(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Json::Object(entries) => 1 + entries.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn nth<'a>(json: &'a mut Json, place: &mut usize) -> Option<&'a mut Json> {
    if *place == 0 {
        return Some(json);
    }
    *place -= 1;
    match json {
        Json::Array(items) => items.iter_mut().find_map(|item| nth(item, place)),
        Json::Object(entries) => entries.values_mut().find_map(|entry| nth(entry, place)),
        _ => None,
    }
}
