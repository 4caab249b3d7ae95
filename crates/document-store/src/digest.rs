//! Digests as text, for IDs and fingerprints.

use sha2::{Digest as _, Sha256};

/// The SHA-256 of the bytes, in 64 lower-case hexadecimal digits.
pub fn digest(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 128 bits of the SHA-256, in 32 hexadecimal digits: enough to tell whether something has changed.
pub fn fingerprint(bytes: impl AsRef<[u8]>) -> String {
    let mut digits = digest(bytes);
    digits.truncate(32);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_as_published() {
        // FIPS 180-4's first example.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest("abc"), abc);
        assert_eq!(fingerprint("abc"), abc[..32]);
    }
}
