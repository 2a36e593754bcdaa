//! The store against both databases.

#![expect(clippy::unwrap_used, reason = "tests")]

mod abandoned;
mod both;
mod catalogue;
mod crash;
mod given_up;
mod logs;
mod migrations;
mod objects;
mod queues;
mod request_queue;
mod requests;
mod statements;
