//! The network address of a client, behind proxies or not.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client's address: the peer's, or the one that the outermost of the service's own proxies has seen.
///
/// Each of `proxies` proxies appends the address of who called it to `X-Forwarded-For`. So the entry that the first
/// of them wrote is that many from the right; anything further left was sent by the client and can't be trusted.
/// Where that entry is missing or no address, the request didn't come through the proxies, and the peer counts.
pub(super) fn client(headers: &HeaderMap, peer: Option<IpAddr>, proxies: usize) -> Option<IpAddr> {
    let Some(nth) = proxies.checked_sub(1) else { return peer };
    // A header that stands more than once is one list.
    let values = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
    entries.nth(nth).and_then(entry).or(peer)
}

/// An address; some proxies write the port too.
fn entry(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The address to count a client by: an IPv4 address, or the /64 network of an IPv6 address, within which a machine can
/// choose its address freely.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&[u8]]) -> HeaderMap {
        let entries = values.iter().map(|value| (FORWARDED_FOR, axum::http::HeaderValue::from_bytes(value).unwrap()));
        entries.collect()
    }

    #[test]
    fn only_what_our_own_proxies_wrote_counts() {
        for (values, proxies, expected) in [
            (&[][..], 0, "peer"),
            (&[][..], 1, "peer"),
            // Without proxies, the header was written by the client.
            (&[&b"1.1.1.1"[..]], 0, "peer"),
            (&[b"1.1.1.1"], 1, "1.1.1.1"),
            (&[b"6.6.6.6, 1.1.1.1"], 1, "1.1.1.1"),
            (&[b"6.6.6.6, 1.1.1.1,2.2.2.2"], 2, "1.1.1.1"),
            (&[b"1.1.1.1"], 2, "peer"),
            // One list, however it's spread.
            (&[b"6.6.6.6", b"1.1.1.1"], 1, "1.1.1.1"),
            (&[b"6.6.6.6, 1.1.1.1", b"2.2.2.2"], 2, "1.1.1.1"),
            (&[b"1.1.1.1", b""], 2, "1.1.1.1"),
            (&[b" \t1.1.1.1 "], 1, "1.1.1.1"),
            (&[b"1.1.1.1:4711"], 1, "1.1.1.1"),
            (&[b"2001:db8::1"], 1, "2001:db8::1"),
            (&[b"[2001:db8::1]"], 1, "2001:db8::1"),
            (&[b"[2001:db8::1]:4711"], 1, "2001:db8::1"),
            // The client's rubbish harms nothing.
            (&[b"\xff\xfe, unknown, 1.1.1.1"], 1, "1.1.1.1"),
            (&[b"unknown"], 1, "peer"),
            (&[b"1.1.1.1, unknown"], 1, "peer"),
            (&[b"1.1.1.1,"], 1, "peer"),
            (&[b"1.1.1.\xff"], 1, "peer"),
            (&[b"1.1.1.1.1"], 1, "peer"),
            (&[b"01.1.1.1"], 1, "peer"),
            (&[b"fe80::1%eth0"], 1, "peer"),
            (&[b"localhost"], 1, "peer"),
        ] {
            let peer: IpAddr = "9.9.9.9".parse().unwrap();
            let expected = if expected == "peer" { peer } else { expected.parse().unwrap() };
            assert_eq!(client(&headers(values), Some(peer), proxies), Some(expected), "{values:?} {proxies}");
        }
        assert_eq!(client(&headers(&[]), None, 1), None);
    }

    proptest! {
        /// Whatever a client sends in whatever headers of its own, in front of what our proxies append.
        #[test]
        fn a_client_cannot_choose_its_address(
            own in vec(vec(prop_oneof![Just(b','), 0x20_u8..0x7f, 0x80_u8..=0xff], 0..60), 0..4),
            in_one_header: bool,
            proxies in 1_usize..4,
        ) {
            let appended = ["203.0.113.1", "198.51.100.1", "[2001:db8::1]:443"][..proxies].join(", ");
            let mut own = own;
            match own.last_mut() {
                Some(last) if in_one_header => last.extend([b", ", appended.as_bytes()].concat()),
                _ => own.push(appended.into_bytes()),
            }
            let values: Vec<_> = own.iter().map(Vec::as_slice).collect();
            let peer = "9.9.9.9".parse().unwrap();
            prop_assert_eq!(client(&headers(&values), Some(peer), proxies), Some("203.0.113.1".parse().unwrap()));
        }
    }

    #[test]
    fn an_ipv6_customer_has_one_network() {
        for (one, other, same) in [
            ("1.1.1.1", "1.1.1.1", true),
            ("1.1.1.1", "1.1.1.2", false),
            ("1.1.1.1", "::ffff:1.1.1.1", true),
            ("::ffff:1.1.1.1", "::ffff:1.1.1.2", false),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
            ("2001:db8:0:1::1", "2001:db8::1", false),
            ("::1", "1.1.1.1", false),
        ] {
            let [one, other] = [one, other].map(|address| network(address.parse().unwrap()));
            assert_eq!(one == other, same, "{one} {other}");
        }
    }
}
