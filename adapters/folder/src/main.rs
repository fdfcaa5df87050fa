//! The folder adapter.
fn main() {}
