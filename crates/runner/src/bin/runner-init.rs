//! The first process of an instance as a program of its own, for tests. The server starts itself instead.

fn main() {
    modelyard_runner::run_init_if_asked();
    eprintln!("This program is started by tests.");
    std::process::exit(2);
}
