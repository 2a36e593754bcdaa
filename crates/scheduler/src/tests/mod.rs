//! The plan, carried out in a small world: by example, over simulated days, and by property.

mod choices;
mod days;
mod growth;
mod office;
mod random;
mod replace;
mod room;
mod trouble;
mod world;
