//! Broken ID tokens by how they're written: JSON, parts, encodings, headers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use super::{CANARY, Forge, Forged, claims, forged, header, raw, with};
use crate::support::keys::unsigned_message;
use crate::support::world::NOW;

/// Bytes that a reader of gzip would read: the payload in a stored block, with its checksum.
fn gzip(payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut crc = u32::MAX;
    for byte in payload {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    bytes.extend(length.to_le_bytes());
    bytes.extend((!length).to_le_bytes());
    bytes.extend(payload);
    bytes.extend((!crc).to_le_bytes());
    bytes.extend(u32::from(length).to_le_bytes());
    bytes
}

/// Payloads and headers that aren't the JSON they should be, all with a good signature.
pub fn json(forge: &Forge) -> Vec<Forged> {
    let (good_header, good) = (header().to_string(), claims().to_string());
    let open = good.strip_suffix('}').unwrap();
    let nested = |depth: usize| format!("{open},\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let payloads: Vec<(&str, Vec<u8>)> = vec![
        ("an empty payload", Vec::new()),
        ("null", b"null".to_vec()),
        ("a list", format!("[{good}]").into()),
        ("a text", json!(good).to_string().into()),
        ("a number", b"7".to_vec()),
        ("no JSON", b"sub=admin".to_vec()),
        ("cut JSON", open.into()),
        ("two objects", format!("{good}{good}").into()),
        ("a trailing comma", format!("{open},}}").into()),
        ("a byte order mark", format!("\u{feff}{good}").into()),
        ("single quotes", good.replace('"', "'").into()),
        ("a comment", format!("{good}// {CANARY}").into()),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("not UTF-8", [open.as_bytes(), b",\"x\":\"\xff\xfe\"}"].concat()),
        ("a lone surrogate", format!("{open},\"x\":\"\\ud800\"}}").into()),
        ("a NUL after", format!("{good}\0").into()),
        ("deeply nested", nested(500).into()),
        ("very deeply nested", nested(11_000).into()),
        ("exp NaN", good.replace(&(NOW + 3540).to_string(), "NaN").into()),
        ("exp Infinity", good.replace(&(NOW + 3540).to_string(), "Infinity").into()),
        ("exp beyond numbers", good.replace(&(NOW + 3540).to_string(), "1e999").into()),
        ("exp hexadecimal", good.replace(&(NOW + 3540).to_string(), "0x7fffffff").into()),
        ("exp with a plus", good.replace(&(NOW + 3540).to_string(), "+1750003540").into()),
        ("two subs", format!("{open},\"sub\":\"admin\"}}").into()),
        ("two subs, one escaped", format!("{open},\"s\\u0075b\":\"admin\"}}").into()),
        ("the same sub twice", format!("{open},\"sub\":\"{CANARY}\"}}").into()),
        ("two auds", format!("{open},\"aud\":\"other-project\"}}").into()),
        ("two auds, the wrong one first", format!("{{\"aud\":\"other-project\",{}", &good[1..]).into()),
        ("two exps", format!("{open},\"exp\":1}}").into()),
        ("gzip", gzip(good.as_bytes())),
    ];
    let mut all: Vec<_> = Vec::new();
    for (name, payload) in payloads {
        all.push(forged(name, forge.key.sign_text(&good_header, &payload)));
        let message = |header: &str| format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&payload));
        all.push(forged(format!("{name}, unsigned"), format!("{}.", message(r#"{"alg":"none","typ":"JWT"}"#))));
    }
    let open = good_header.strip_suffix('}').unwrap();
    for (name, header) in [
        ("an empty header", String::new()),
        ("a header that is a list", format!("[{good_header}]")),
        ("a header that is null", "null".to_owned()),
        ("a header that is no JSON", "RS256".to_owned()),
        ("two algs", format!("{open},\"alg\":\"none\"}}")),
        ("two algs, the wrong one first", format!("{{\"alg\":\"none\",{}", &good_header[1..])),
        ("two kids", format!("{open},\"kid\":\"k2\"}}")),
        ("two typs", format!("{open},\"typ\":\"JWT\"}}")),
        ("a header deeply nested", format!("{open},\"x\":{}{}}}", "[".repeat(500), "]".repeat(500))),
    ] {
        all.push(forged(name, forge.key.sign_text(&header, &good)));
        all.push(forged(format!("{name}, no signature"), unsigned_of(&header, &good)));
    }
    all.push(forged(
        "zip",
        forge.key.sign_text(with(super::header(), json!({"zip": "GZ"})).to_string(), gzip(good.as_bytes())),
    ));
    all.push(forged("two algs, unsigned", unsigned_of(r#"{"alg":"RS256","alg":"none"}"#, &good)));
    all
}

fn unsigned_of(header: &str, payload: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

/// Tokens cut, flipped, padded and written in other ways.
pub fn shapes(forge: &Forge) -> Vec<Forged> {
    let good = forge.good();
    let [head, body, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    let signature_bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut all = Vec::new();
    for (name, length) in [
        ("cut in the header", 10),
        ("cut before the payload", head.len() + 1),
        ("cut in the payload", head.len() + 40),
        ("cut before the signature", head.len() + 1 + body.len()),
        ("cut after the second dot", head.len() + body.len() + 2),
        ("cut in the signature", good.len() - 100),
        ("cut by one", good.len() - 1),
        ("cut to nothing", 0),
    ] {
        all.push(forged(name, &good[..length]));
    }
    for (name, index, bit) in [("first", 0, 0x80), ("middle", 128, 0x10), ("last", 255, 0x01)] {
        let mut flipped = signature_bytes.clone();
        flipped[index] ^= bit;
        all.push(forged(
            format!("a bit flipped: {name}"),
            format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(flipped)),
        ));
    }
    for (name, bytes) in [
        ("a signature of zeros", vec![0; 256]),
        ("a signature of ones", vec![255; 256]),
        ("a signature of one", [vec![0; 255], vec![1]].concat()),
        ("a signature too long", [signature_bytes.clone(), vec![0]].concat()),
        ("a signature with a zero in front", [vec![0], signature_bytes.clone()].concat()),
        ("half a signature", signature_bytes[..128].to_vec()),
    ] {
        all.push(forged(name, format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(bytes))));
    }
    let other = unsigned_message(&header(), &with(claims(), json!({"sub": "admin"})));
    let last = signature.chars().last().unwrap();
    // The last character of 256 bytes has four bits to spare; only one of its spellings is right.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let spelled = alphabet.chars().nth(alphabet.find(last).unwrap() ^ 1).unwrap();
    let signature_of_json = STANDARD.encode(&signature_bytes);
    let huge = forge.key.sign(&with(claims(), json!({"x": "x".repeat(33_000)})));
    for (name, token) in [
        ("the signature of another message", format!("{other}.{signature}")),
        ("the signature's last bits", format!("{head}.{body}.{}{spelled}", &signature[..signature.len() - 1])),
        ("the payload twice", format!("{head}.{body}.{body}")),
        ("doubled first dot", format!("{head}..{body}.{signature}")),
        ("doubled second dot", format!("{head}.{body}..{signature}")),
        ("a dot in front", format!(".{good}")),
        ("a dot behind", format!("{good}.")),
        ("only dots", "..".to_owned()),
        ("a dot", ".".to_owned()),
        ("one part", head.to_owned()),
        ("two parts", format!("{head}.{body}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as a JWE has", format!("{head}.{body}.{body}.{body}.{signature}")),
        ("a JWE", jwe()),
        ("another token behind", format!("{good}{good}")),
        ("another token behind a dot", format!("{good}.{good}")),
        ("parts in another order", format!("{body}.{head}.{signature}")),
        ("padding", format!("{head}.{body}.{signature}==")),
        ("padding everywhere", [head, body, signature].map(padded).join(".")),
        ("the standard alphabet", format!("{head}.{body}.{}", signature_of_json.trim_end_matches('='))),
        ("the standard alphabet everywhere", [head, body, signature].map(standard).join(".")),
        ("percent encoding", good.replace('.', "%2E")),
        ("quotes", format!("\"{good}\"")),
        ("single quotes", format!("'{good}'")),
        ("a space within", format!("{head}. {body}.{signature}")),
        ("a tab within", format!("{head}.\t{body}.{signature}")),
        ("spaces at a dot", format!("{head} . {body} . {signature}")),
        ("JSON serialisation", json!({"protected": head, "payload": body, "signature": signature}).to_string()),
        ("raw JSON", format!("{}.{}.{signature}", header(), claims())),
        ("base64 of it all", URL_SAFE_NO_PAD.encode(&good)),
        ("more than 32 KiB", huge),
        ("100 KiB of x", "x".repeat(100 << 10)),
        ("100 KiB of dots", ".".repeat(100 << 10)),
        ("null", "null".to_owned()),
        ("undefined", "undefined".to_owned()),
        ("[object Object]", "[object Object]".to_owned()),
    ] {
        all.push(forged(name, token));
    }
    for (name, byte) in [("not UTF-8", 0xff), ("half of a character", 0xc3), ("Latin-1", 0xe9)] {
        all.push(forged(format!("{name}, behind"), [good.as_bytes(), &[byte]].concat()));
        all.push(forged(format!("{name}, within"), [&good.as_bytes()[..50], &[byte], &good.as_bytes()[50..]].concat()));
    }
    all.push(forged("a character that looks like a dot", format!("{head}\u{2024}{body}\u{2024}{signature}")));
    all
}

fn padded(part: &str) -> String {
    URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap())
}

/// In the standard alphabet; a part in which both alphabets agree gets a character that only one has.
fn standard(part: &str) -> String {
    let text = STANDARD_NO_PAD.encode(URL_SAFE_NO_PAD.decode(part).unwrap());
    if text.contains(['+', '/']) { text } else { format!("{text}+/+/") }
}

fn jwe() -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let header = part(r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k1"}"#);
    [header, part(&CANARY.repeat(20)), part("0123456789ab"), part(&CANARY.repeat(9)), part("0123456789abcdef")]
        .join(".")
}

/// Headers that hold a good token in a way that doesn't count.
pub fn headers(forge: &Forge) -> Vec<Forged> {
    let good = forge.good();
    let bearer = format!("Bearer {good}");
    let bad = format!("Bearer {}", forge.own.sign(&claims()));
    let mut all = Vec::new();
    for (name, header) in [
        ("an empty header", String::new()),
        ("the scheme alone", "Bearer".to_owned()),
        ("no scheme", good.clone()),
        ("no space", format!("Bearer{good}")),
        ("two spaces", format!("Bearer  {good}")),
        ("a tab", format!("Bearer\t{good}")),
        ("a colon", format!("Bearer: {good}")),
        ("an equals sign", format!("Bearer={good}")),
        ("a parameter", format!("Bearer token=\"{good}\"")),
        ("the scheme twice", format!("Bearer {bearer}")),
        ("another scheme", format!("Token {good}")),
        ("JWT", format!("JWT {good}")),
        ("DPoP", format!("DPoP {good}")),
        ("Basic", format!("Basic {}", STANDARD.encode(format!("{CANARY}:{good}")))),
        ("Basic with the token itself", format!("Basic {good}")),
        ("the scheme behind a quote", format!("\"Bearer\" {good}")),
        ("a word behind", format!("{bearer} x")),
        ("the token twice", format!("{bearer} {good}")),
        ("a comma behind", format!("{bearer},")),
        ("joined, good first", format!("{bearer}, {bad}")),
        ("joined, bad first", format!("{bad}, {bearer}")),
        ("joined with Basic", format!("Basic dTpw, {bearer}")),
        ("joined with a semicolon", format!("{bearer}; {bad}")),
    ] {
        all.push(raw(name, [header]));
    }
    for (name, headers) in [
        ("two headers, good first", [&bearer, &bad]),
        ("two headers, bad first", [&bad, &bearer]),
        ("two headers, both good", [&bearer, &bearer]),
        ("two headers, one empty", [&bearer, &String::new()]),
        ("two headers, the first empty", [&String::new(), &bearer]),
        ("two headers, one of another scheme", [&"Basic dTpw".to_owned(), &bearer]),
    ] {
        all.push(raw(name, headers.map(|header| header.clone().into_bytes())));
    }
    all.push(raw("a scheme that isn't ASCII", ["\u{0412}earer ".to_owned() + &good]));
    all
}
