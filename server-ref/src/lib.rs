//! Hubwire.
