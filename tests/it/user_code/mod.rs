//! What user code is given and how it is called (semantics 1.1 to 1.9), and what becomes of code that misbehaves.

mod calls;
mod failures;
mod mischief;
mod packages;
mod values;
