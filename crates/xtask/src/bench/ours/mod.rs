//! Our server in a benchmark: started on a folder of its own, given the packages, asked like any client would.

mod archive;
mod deploy;
mod server;

pub use deploy::{Deployed, Instances, Wanted};
pub use server::Server;
