//! The breakerbox daemon.
