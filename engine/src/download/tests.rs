//! Single rules of the machine.
