//! What was promised is there after the writer was killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use modelyard_store::{Store, organizations};
use modelyard_types::ids::OrganizationId;
use sqlx::Connection as _;

use crate::both::{self, places};

const PLACE: &str = "MODELYARD_TEST_CRASH_PLACE";

/// Not a test by itself: the child that the test below kills. Prints an id after each commit, without end.
#[tokio::test]
async fn a_writer_without_end() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let store = Store::open(&place).await.unwrap();
    for number in 0.. {
        let mut row = both::organization(&format!("o{number}"));
        row.subscription = "x".repeat(3_000);
        let mut tx = store.begin().await.unwrap();
        organizations::insert(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        println!("promised {}", row.id);
    }
}

#[tokio::test]
async fn promised_rows_survive_kill_9() {
    for place in places() {
        place.open().await.close().await;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["crash::a_writer_without_end", "--exact", "--nocapture"])
            .env(PLACE, place.address())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let id_of = |line: String| line.split_once("promised ").and_then(|(_, id)| id.parse::<OrganizationId>().ok());
        let mut promised: Vec<_> = lines.by_ref().filter_map(id_of).take(200).collect();
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it had not ended by itself");
        promised.extend(lines.filter_map(id_of));
        assert!(promised.len() >= 200);

        let store = place.open().await;
        for id in promised {
            assert!(organizations::get(&store, id).await.unwrap().is_some());
        }
        store.close().await;
        if !modelyard_store::is_postgres(&place.address()) {
            let mut on = sqlx::SqliteConnection::connect(&place.address()).await.unwrap();
            let (state,): (String,) = sqlx::query_as("PRAGMA integrity_check").fetch_one(&mut on).await.unwrap();
            assert_eq!(state, "ok");
        }
    }
}
