//! Tests of what clients write.

#![expect(clippy::unwrap_used, reason = "tests")]

use insta::assert_snapshot;
use modelyard_store::logs::{Level, LogLabels, LogLine};
use modelyard_types::{ProjectId, RequestId};

use super::*;

fn line(text: &str, version: &str, request: Option<RequestId>) -> LogLine {
    let labels = LogLabels {
        deployment_name: Some("a".into()),
        deployment_version: Some(version.into()),
        deployment_request_id: request,
        ..LogLabels::default()
    };
    LogLine { project_id: ProjectId::new(), at_ns: 0, level: Level::Info, text: text.into(), labels }
}

fn passes(query: &str, line: &LogLine) -> bool {
    parse(query).unwrap().passes(line)
}

fn told<T>(refused: Result<T>) -> String {
    refused.err().unwrap().to_string()
}

#[test]
fn the_stock_waiters_query_works() {
    let id = RequestId::new();
    let query = format!(
        "| deployment_name=`a` and deployment_version=`v1` and deployment_request_id!~`.+` or deployment_request_id=`{id}`"
    );
    assert!(passes(&query, &line("starting", "v1", None)));
    assert!(passes(&query, &line("working", "v2", Some(id))));
    assert!(!passes(&query, &line("of another", "v1", Some(RequestId::new()))));
    assert!(!passes(&query, &line("elsewhere", "v2", None)));
}

#[test]
fn stages_and_spaces_and_quotes() {
    let here = line("a \"b\" failed", "v1", None);
    for query in [
        "",
        "|deployment_name=`a`",
        "| deployment_name = \"a\" | deployment_version != \"v2\"",
        "deployment_name=`a`",
        "|= `failed`",
        "|=`failed`!=`fine`| deployment_name=~`a|b`",
        "|~ `^a.*d$` !~ `x+` | deployment_name=`a`, level=`info`",
        "|= \"\\\"b\\\"\"",
        "| deployment_name=`x` or deployment_name=`a` and deployment_version=`v1`",
        "| deployment_name=`x` OR deployment_name=`a` AND deployment_version=`v1`",
        "| pipeline_name=`` | build_id=``",
    ] {
        assert!(passes(query, &here), "{query}");
    }
    for query in [
        "|= `fine`",
        "!= `failed`",
        "| deployment_name=`a` and deployment_version=`v2` or deployment_name=`x`",
        "| deployment_name=`a` | deployment_name=`b`",
        "| deployment_name=~`b`",
    ] {
        assert!(!passes(query, &here), "{query}");
    }
}

#[test]
fn refusals_show_the_place() {
    assert_snapshot!(told(parse("| colour=`red`")), @"The log label 'colour' is not known; there are deployment_id, deployment_name, deployment_version_id, deployment_version, deployment_version_revision_id, instance_id, process_id, environment_name, environment_build_id, environment_tag, pipeline_id, pipeline_name, pipeline_version_id, pipeline_version, pipeline_object_id, pipeline_object_name, deployment_request_id, pipeline_request_id, webhook_name, system, level");
    assert_snapshot!(told(parse("| level")), @"query: expected '=', '!=', '=~' or '!~' after the label, at character 8");
    assert_snapshot!(told(parse("| level=error")), @"query: expected a value in back-quotes or double quotes, at character 9");
    assert_snapshot!(told(parse("| level=`error")), @"query: a back-quote is not closed, at character 9");
    assert_snapshot!(told(parse("| level=`error` `x`")), @"query: expected '|', '|=', '!=', '|~' or '!~', at character 17");
    assert_snapshot!(told(parse("{level=`x`}")), @"query: expected the name of a label, at character 1");
    assert!(told(parse("|~ `(`")).contains("not a regular expression"));
    assert!(told(parse("|~ `(a{500}){500}`")).contains("not a regular expression"));
    assert!(told(parse(&"| level=`x`".repeat(300))).contains("at most 200 tests"));
    assert!(told(parse(&"x".repeat(100_000))).contains("at most"));
    for broken in
        ["|", "| ", "| and", "| level=`x` and", "| level=`x` or", "|=", "=", "\u{e9}", "|=\"\\", "| level=\"\\q\""]
    {
        assert!(parse(broken).is_err(), "{broken}");
    }
}

fn body(json: &str) -> LogsCreate {
    serde_json::from_str(json).unwrap()
}

#[test]
fn filters_of_old_clients_are_labels() {
    let here = line("x", "v1", None);
    let of = |json: &str| filters(&body(json));
    assert!(of("{}").unwrap().passes(&here));
    assert!(
        of(r#"{"filters":{"deployment_name":"a","deployment_version":"v1","pipeline_name":null}}"#)
            .unwrap()
            .passes(&here)
    );
    assert!(!of(r#"{"filters":{"deployment_name":"b"}}"#).unwrap().passes(&here));
    assert!(!of(r#"{"filters":{"system":true}}"#).unwrap().passes(&here));
    assert_snapshot!(told(of(r#"{"filters":{"deployment_version":"v1"}}"#)), @"filters: deployment_version needs deployment_name beside it");
    assert_snapshot!(told(of(r#"{"filters":{"level":[1]}}"#)), @"filters: the value of level must be a string");
    assert!(told(of(r#"{"filters":{"colour":"red"}}"#)).contains("'colour' is not known"));
}

const NOW: Timestamp = Timestamp(1_700_000_000_000_000);
const NOW_NS: i64 = 1_700_000_000_000_000_000;

#[test]
fn windows_take_both_ends_or_none() {
    let of = |start, end| window(start, end, NOW);
    let forward = of(Some("2023-11-14T22:13:20+00:00"), Some("1700000000000000007")).unwrap();
    assert_eq!(forward, Window { from_ns: NOW_NS, until_ns: NOW_NS + 7, backwards: false });
    let backward = of(Some("1700000000000000007"), Some("1700000000000000000")).unwrap();
    assert_eq!(backward, Window { from_ns: NOW_NS + 1, until_ns: NOW_NS + 8, backwards: true });
    let day = of(None, None).unwrap();
    assert_eq!(day.from_ns, NOW_NS - 86_400_000_000_000);
    assert_snapshot!(told(of(Some("1"), None)), @"start and end must be given together, or neither");
    assert_snapshot!(told(of(Some("soon"), Some("1"))), @"start must be an ISO 8601 date or nanoseconds, but got 'soon'");
}

#[test]
fn ranges_hold_the_line_they_begin_at() {
    let of = |json: &str, line| range(&body(json), line, NOW);
    let back = of("{}", None).unwrap();
    assert_eq!(back, Window { from_ns: NOW_NS - 21_600_000_000_000, until_ns: NOW_NS + 1, backwards: true });
    let onward = of(r#"{"date":"2023-11-14T22:13:20Z","date_range":5}"#, None).unwrap();
    assert_eq!(onward, Window { from_ns: NOW_NS, until_ns: NOW_NS + 5_000_000_001, backwards: false });
    assert_eq!(of("{}", Some(7)).unwrap().until_ns, 8);
    assert_snapshot!(told(of(r#"{"date_range":86401}"#, None)), @"date_range must be between -86400 and 86400, and is 86401");
    assert!(of(r#"{"date":"soon"}"#, None).is_err());
    assert!(of(r#"{"date_range":-9223372036854775808}"#, None).is_err());
}
