//! How long lists of requests take with millions stored: `cargo xtask soak lists`.
//!
//! Fills a fresh database as the recorder and the acceptor do, then runs what handlers and loops ask of `requests`, each
//! many times. Handlers ask through the same functions; HTTP itself is not in the figures.

mod asked;
mod figures;
mod fill;

use clap::{Parser, ValueEnum};
use modelyard_store::{Store, is_postgres};
use modelyard_testkit::postgres::PrivatePostgres;

#[derive(Parser)]
struct Options {
    /// How many requests to store.
    #[arg(long, default_value_t = 10_000_000)]
    requests: u64,
    /// Which databases to fill, one after the other.
    #[arg(long, value_enum, default_value_t = Which::Both)]
    database: Which,
    /// Print one JSON document instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Sqlite,
    Postgresql,
    Both,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    // What was filled is cleared away in either case.
    let reports = tokio::select! {
        reports = run(&options) => reports?,
        _ = tokio::signal::ctrl_c() => return Err("stopped".into()),
    };
    match options.json {
        true => println!("{}", figures::json(&reports)),
        false => reports.iter().for_each(|report| println!("{report}")),
    }
    Ok(())
}

/// One database after the other, so that the disk holds one at a time.
async fn run(options: &Options) -> Result<Vec<figures::Report>, Box<dyn std::error::Error>> {
    let mut reports = Vec::new();
    if options.database != Which::Postgresql {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("modelyard.db");
        reports.push(measured("SQLite", &file.display().to_string(), options.requests).await?);
    }
    if options.database != Which::Sqlite {
        let database = PrivatePostgres::shared().database();
        reports.push(measured("PostgreSQL", &database.url(), options.requests).await?);
    }
    Ok(reports)
}

async fn measured(database: &'static str, place: &str, requests: u64) -> modelyard_store::Result<figures::Report> {
    let store = Store::open(place).await?;
    let world = fill::World::of(requests);
    let per_second = fill::fill(&store, &world).await?;
    if is_postgres(place) {
        fill::settle(&store).await?;
    }
    let figures = asked::all(&store, &world).await?;
    store.close().await;
    Ok(figures::Report { database, requests, per_second, figures })
}
