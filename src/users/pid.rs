//! The PID, which identifies a student where no name may be used (docs/domain/documents.md#pid).

/// `assessmentPid`: the abbreviations of the district and the school, as far as they have any, and the CRC-32 of the
/// e-mail address in hexadecimal digits, joined by hyphens.
pub fn assessment_pid(abbreviations: &[&str], email: &str) -> String {
    let checksum = format!("{:x}", crc32fast::hash(email.as_bytes()));
    let parts: Vec<&str> = abbreviations.iter().copied().chain([checksum.as_str()]).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids() {
        // `cbf43926` is the standard check value of CRC-32. The digits aren't padded.
        assert_eq!(assessment_pid(&["WCU", "OAK"], "123456789"), "WCU-OAK-cbf43926");
        assert_eq!(assessment_pid(&["WCU"], ""), "WCU-0");
        assert_eq!(assessment_pid(&[], "ada@school.example"), format!("{:x}", crc32fast::hash(b"ada@school.example")));
    }
}
