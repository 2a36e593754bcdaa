//! The lane against fake processes: single rules by example, all of them together by property.

mod fake;
mod groups;
mod random;
mod rules;
mod sweeps;
mod threads;
