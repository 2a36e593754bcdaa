//! Our commands.
fn main() {}
