//! The texts of messages, which are cheap to clone, and how texts are put together: `format!` brings ten kilobytes of
//! WebAssembly with it.
//!
//! With the codecs they are slices of the received frames. Without codecs nothing has frames to slice, and a type that
//! is one pointer saves kilobytes of WebAssembly.

#[cfg(feature = "codec")]
pub use bytestring::ByteString;
#[cfg(not(feature = "codec"))]
pub use shared::ByteString;

use alloc::string::String;

/// The parts, one behind the other.
#[inline(never)]
pub(crate) fn joined(parts: &[&str]) -> String {
    let mut text = String::new();
    for part in parts {
        text.push_str(part);
    }
    text
}

/// The text with the numbers, in decimal, where it has a `#`.
#[inline(never)]
pub(crate) fn numbered(template: &str, numbers: &[u64]) -> String {
    let mut text = String::new();
    let mut rest = template;
    for number in numbers {
        let (before, behind) = cut(rest, b'#').unwrap_or((rest, ""));
        text.push_str(before);
        text.push_str(&decimal(*number));
        rest = behind;
    }
    text.push_str(rest);
    text
}

/// What is before the first such character, and what is behind it.
#[inline(never)]
pub(crate) fn cut(text: &str, ascii: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == ascii)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The number, if it is written as [`decimal`] does: neither `+1` nor `01`.
#[inline(never)]
pub(crate) fn number(text: &str) -> Option<u64> {
    let mut number = 0_u64;
    for byte in text.bytes() {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        // Not `checked_mul`, which multiplies in 128 bits.
        number = if number > u64::MAX / 10 { return None } else { number * 10 };
        number = number.checked_add(digit.into())?;
    }
    let is_canonical = text == "0" || !(text.is_empty() || text.starts_with('0'));
    is_canonical.then_some(number)
}

/// The number in decimal.
#[inline(never)]
pub(crate) fn decimal(mut number: u64) -> String {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = (number % 10) as usize;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let mut text = String::new();
    for digit in &digits[first..] {
        text.push_str(DIGITS[*digit]);
    }
    text
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[cfg(not(feature = "codec"))]
mod shared {
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::sync::Arc;
    use core::borrow::Borrow;
    use core::fmt;
    use core::ops::Deref;

    /// A text that is shared by its clones; as much of the `bytestring::ByteString` of other builds as is needed.
    #[derive(Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct ByteString(Arc<Box<str>>);

    impl ByteString {
        /// A text that is known when the program is built.
        pub fn from_static(text: &'static str) -> Self {
            text.into()
        }

        /// A part of this text, as a text of its own.
        #[must_use]
        pub fn slice_ref(&self, part: &str) -> Self {
            part.into()
        }
    }

    impl Clone for ByteString {
        #[inline(never)]
        fn clone(&self) -> Self {
            Self(Arc::clone(&self.0))
        }
    }

    impl Deref for ByteString {
        type Target = str;

        fn deref(&self) -> &str {
            &self.0
        }
    }

    impl Borrow<str> for ByteString {
        fn borrow(&self) -> &str {
            self
        }
    }

    impl AsRef<str> for ByteString {
        fn as_ref(&self) -> &str {
            self
        }
    }

    impl From<String> for ByteString {
        #[inline(never)]
        fn from(text: String) -> Self {
            Self(Arc::new(text.into()))
        }
    }

    impl From<&str> for ByteString {
        #[inline(never)]
        fn from(text: &str) -> Self {
            Self(Arc::new(text.into()))
        }
    }

    impl From<ByteString> for String {
        fn from(text: ByteString) -> Self {
            (*text).into()
        }
    }

    impl PartialEq<str> for ByteString {
        fn eq(&self, other: &str) -> bool {
            **self == *other
        }
    }

    impl PartialEq<&str> for ByteString {
        fn eq(&self, other: &&str) -> bool {
            **self == **other
        }
    }

    impl fmt::Display for ByteString {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        for value in [0, 1, 9, 10, 109, u64::MAX - 1, u64::MAX] {
            assert_eq!(decimal(value), value.to_string());
            assert_eq!(number(&value.to_string()), Some(value));
        }
        for text in ["", "00", "01", "+1", "-1", "1 ", "1a", "18446744073709551616", "99999999999999999999"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_cut_and_put_together() {
        assert_eq!(cut("a/b/c", b'/'), Some(("a", "b/c")));
        assert_eq!(cut("ä/", b'/'), Some(("ä", "")));
        assert_eq!(cut("ä", b'/'), None);
        assert_eq!(joined(&["a", "", "ä"]), "aä");
        assert_eq!(numbered("# of # calls", &[3, 10]), "3 of 10 calls");
        assert_eq!(numbered("calls", &[3]), "calls3");
    }
}
