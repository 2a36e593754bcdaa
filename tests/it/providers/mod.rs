//! Buckets whose files lie at a provider: one suite through the API, against each of them. What the providers are is in `stand.rs`.

mod files;
mod names;
mod overtaken;
mod own;
mod reach;
mod requests;
mod secrets;
mod settings;
mod stand;

use crate::kit::*;
use stand::Stand;

/// Runs a case with a server that reaches the provider.
fn run(database: Database, stand: impl AsyncFnOnce() -> Stand, case: impl AsyncFnOnce(Stand, TestServer)) {
    crate::kit::run(database, async |mut server| {
        let stand = stand().await;
        let settings = stand.settings();
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.restart(&settings).await;
        case(stand, server).await;
    });
}

/// Makes a test of each case for each provider, that of S3 on both databases.
macro_rules! suite {
    ($($area:ident::$case:ident),* $(,)?) => {
        mod s3 {
            use crate::kit::Database;
            use super::{Stand, run};
            $(#[test]
            fn $case() {
                run(Database::Sqlite, Stand::s3, super::$area::$case);
            })*
        }
        mod s3_postgres {
            use crate::kit::Database;
            use super::{Stand, run};
            $(#[test]
            fn $case() {
                run(Database::Postgres, Stand::s3, super::$area::$case);
            })*
        }
        mod gcs {
            use crate::kit::Database;
            use super::{Stand, run};
            $(#[test]
            fn $case() {
                run(Database::Sqlite, Stand::gcs, super::$area::$case);
            })*
        }
        mod azure {
            use crate::kit::Database;
            use super::{Stand, run};
            $(#[test]
            fn $case() {
                run(Database::Sqlite, Stand::azure, super::$area::$case);
            })*
        }
    };
}

suite! {
    files::a_file_goes_round,
    files::names_of_all_kinds_are_files_of_their_own,
    files::lists_have_pages_and_prefixes,
    files::files_are_sent_in_parts,
    files::parts_that_do_not_fit_are_refused,
    files::a_deleted_bucket_leaves_its_files,
    settings::what_does_not_work_is_not_created,
    settings::an_update_that_does_not_work_changes_nothing,
    settings::credentials_and_configuration_change_alone,
    settings::a_provider_that_is_gone_is_no_failure_of_ours,
    secrets::credentials_are_nowhere_to_be_read,
    requests::files_of_requests_come_from_a_provider_and_go_there,
    requests::a_file_is_fetched_again_when_it_was_replaced,
    own::own_files_are_kept_there,
    own::parts_and_blobs_are_kept_there_too,
    own::requests_use_what_is_kept_there,
    own::the_place_of_another_installation_is_refused,
    own::while_it_is_gone_files_cannot_be_had_and_none_is_lost,
}
