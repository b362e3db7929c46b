//! Root certificates from PEM files.

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject, SectionKind};

/// Adds every certificate of a PEM text to the store. The error says what is wrong with the text.
pub(super) fn add(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
        return Err("the root certificates are not PEM: there is no line with '-----BEGIN'".into());
    }
    let mut count = 0_usize;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let (kind, der) = section.map_err(|error| {
            // The library prints the line it misses as a list of bytes.
            let reason = match error {
                Error::MissingSectionEnd { .. } => "a section has no end".to_owned(),
                Error::IllegalSectionStart { .. } => "the beginning of a section is malformed".to_owned(),
                error => error.to_string(),
            };
            format!("the root certificates are not PEM: {reason}")
        })?;
        // Whatever else a file has beside certificates is no matter of ours.
        if kind == SectionKind::Certificate {
            count += 1;
            roots
                .add(der.into())
                .map_err(|error| format!("root certificate {count} is unusable: {error}"))?;
        }
    }
    if count == 0 {
        return Err("there is no certificate among the root certificates, only other PEM sections".into());
    }
    Ok(())
}

const BEGIN: &[u8] = b"-----BEGIN";

#[cfg(test)]
mod tests {
    use super::*;

    /// The certificate of a private authority that nobody else knows, made once with openssl.
    const CERTIFICATE: &str = include_str!("testdata/root.pem");

    fn added(pem: &str) -> Result<usize, String> {
        let mut roots = RootCertStore::empty();
        add(&mut roots, pem.as_bytes()).map(|()| roots.len())
    }

    #[test]
    fn all_certificates_of_a_text_are_added() {
        assert_eq!(added(CERTIFICATE), Ok(1));
        let bundle = format!("# A bundle\r\n{CERTIFICATE}\nbetween\n{}", CERTIFICATE.replace('\n', "\r\n"));
        assert_eq!(added(&bundle), Ok(2));
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert_eq!(added(&format!("{key}{CERTIFICATE}")), Ok(1));
    }

    #[test]
    fn errors_name_what_is_wrong() {
        for (pem, wanted) in [
            ("", "not PEM: there is no line"),
            ("\u{30}\u{82}\u{1}", "not PEM: there is no line"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "not PEM: a section has no end"),
            ("-----BEGIN CERTIFICATE\nAAAA\n", "not PEM: the beginning"),
            ("-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "not PEM: "),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no certificate"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 1 is unusable"),
        ] {
            let error = added(pem).unwrap_err();
            assert!(error.contains(wanted), "{pem:?}: {error}");
        }
        let broken = format!("{CERTIFICATE}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let error = added(&broken).unwrap_err();
        assert!(error.contains("certificate 2 is unusable"), "{error}");
    }
}
