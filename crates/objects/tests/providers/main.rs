//! One suite of file operations, run against each provider: a real server, or the nearest there is to one.

#![expect(clippy::unwrap_used, reason = "tests")]

mod files;
mod kept;
mod kit;
mod lists;
mod places;
mod refusals;
mod streams;
mod uploads;
mod urls;

/// Makes a test of each case for each provider.
macro_rules! suite {
    ($($area:ident::$case:ident),* $(,)?) => {
        mod s3 {
            $(#[tokio::test]
            async fn $case() {
                crate::$area::$case(&crate::kit::s3().await).await;
            })*
        }
        mod gcs {
            $(#[tokio::test]
            async fn $case() {
                crate::$area::$case(&crate::kit::gcs().await).await;
            })*
        }
        mod azure {
            $(#[tokio::test]
            async fn $case() {
                crate::$area::$case(&crate::kit::azure().await).await;
            })*
        }
    };
}

suite! {
    files::files_of_all_sizes_come_back,
    files::a_backslash_stays_one_or_is_refused,
    files::names_of_all_kinds_are_files_of_their_own,
    files::what_is_not_there_is_no_error_to_look_at,
    files::a_file_is_read_in_ranges,
    files::two_prefixes_are_two_places,
    lists::a_list_is_cut_into_pages,
    lists::names_with_something_in_common_are_listed_as_that,
    streams::a_large_file_is_written_and_read_as_a_stream,
    streams::what_breaks_off_leaves_nothing,
    urls::a_client_without_credentials_reads_and_writes_by_urls,
    urls::a_url_is_good_for_one_call,
    urls::a_url_expires,
    uploads::parts_are_uploaded_in_any_order,
    uploads::parts_that_do_not_fit_are_refused,
    uploads::an_upload_is_called_off,
    refusals::wrong_credentials_and_missing_buckets_are_told_apart,
    refusals::what_cannot_be_reached_is_named,
    refusals::names_that_cannot_be_are_refused,
    kept::kept_files_are_in_the_store_and_found_by_their_shelf,
}
