//! The program `truc`.
fn main() {}
