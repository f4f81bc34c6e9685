//! Whole engines on one thread, under virtual time.
