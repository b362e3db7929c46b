//! The texts of messages, which are cheap to clone.
//!
//! With the codecs they are slices of the received frames. Without codecs nothing has frames to slice, and a type that
//! is one pointer saves kilobytes of WebAssembly.

#[cfg(feature = "codec")]
pub use bytestring::ByteString;
#[cfg(not(feature = "codec"))]
pub use shared::ByteString;

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
