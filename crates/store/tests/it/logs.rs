//! Log lines: times that only grow, searches against a plain filter, deletions.

use modelyard_store::logs::*;
use modelyard_store::{LogStore, StoreError};
use modelyard_types::ids::*;
use proptest::prelude::*;
use uuid::Uuid;

use crate::both::{Place, places};

async fn open(place: &Place) -> LogStore {
    LogStore::open(&place.address()).await.unwrap()
}

fn line(project: ProjectId, at_ns: i64, text: &str) -> LogLine {
    LogLine { project_id: project, at_ns, level: Level::Info, text: text.into(), labels: LogLabels::default() }
}

fn everything() -> LogQuery {
    LogQuery { from_ns: 0, until_ns: i64::MAX, backwards: false, limit: 10_000, filter: Filter::default() }
}

async fn all(logs: &LogStore, project: ProjectId) -> Vec<LogLine> {
    logs.search(project, &everything()).await.unwrap().lines
}

#[tokio::test]
async fn no_two_lines_of_a_project_share_a_time() {
    for place in places() {
        let logs = open(&place).await;
        let (one, two) = (ProjectId::new(), ProjectId::new());
        logs.append(&[line(one, 100, "a"), line(two, 100, "b"), line(one, 100, "c")]).await.unwrap();
        logs.append(&[line(one, 50, "late"), line(one, 200, "d\0")]).await.unwrap();
        logs.close().await;
        let logs = open(&place).await;
        logs.append(&[line(one, 60, "after a restart")]).await.unwrap();

        let lines = all(&logs, one).await;

        let seen: Vec<_> = lines.iter().map(|line| (line.at_ns, line.text.as_str())).collect();
        assert_eq!(seen, [(100, "a"), (101, "c"), (102, "late"), (200, "d"), (201, "after a restart")]);
        assert_eq!(all(&logs, two).await.len(), 1);
        let found = logs.get(one, 102).await.unwrap().unwrap();
        let id: LineId = found.id().to_string().parse().unwrap();
        assert_eq!((id.at_ns, id.is_of(one), id.is_of(two)), (102, true, false));
        assert_eq!(logs.get(one, 103).await.unwrap(), None);
        logs.close().await;
    }
}

#[tokio::test]
async fn two_writers_of_one_project_both_get_their_lines_in() {
    for place in places() {
        let (first, second) = (open(&place).await, open(&place).await);
        let project = ProjectId::new();
        for _ in 0..3 {
            first.append(&[line(project, 1, "first"), line(project, 1, "first")]).await.unwrap();
            second.append(&[line(project, 1, "second"), line(project, 1, "second")]).await.unwrap();
        }
        assert_eq!(all(&first, project).await.len(), 12);
        first.close().await;
        second.close().await;
    }
}

#[tokio::test]
async fn a_reader_that_goes_on_from_the_last_time_misses_nothing() {
    for place in places() {
        let logs = std::sync::Arc::new(open(&place).await);
        let project = ProjectId::new();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let logs = logs.clone();
            writers.spawn(async move {
                for at in 0..25 {
                    let lines: Vec<_> = (0..3).map(|_| line(project, at * 7 + writer, "x")).collect();
                    logs.append(&lines).await.unwrap();
                }
            });
        }
        let (mut seen, mut from_ns) = (0, 0);
        while seen < 300 {
            let page = logs.search(project, &LogQuery { from_ns, limit: 50, ..everything() }).await.unwrap();
            seen += page.lines.len();
            from_ns = page.lines.last().map_or(from_ns, |line| line.at_ns + 1);
        }
        writers.join_all().await;
        assert_eq!(seen, 300);
        logs.close().await;
    }
}

#[tokio::test]
async fn labels_come_back_and_are_shown_by_name() {
    for place in places() {
        let logs = open(&place).await;
        let project = ProjectId::new();
        let mut one = line(project, 5, "hello");
        one.level = Level::Error;
        one.labels = LogLabels {
            deployment_name: Some("iris".into()),
            deployment_request_id: Some(RequestId::new()),
            pipeline_id: Some(Uuid::from_u128(7)),
            system: Some("true".into()),
            ..LogLabels::default()
        };
        logs.append(std::slice::from_ref(&one)).await.unwrap();
        let found = logs.get(project, 5).await.unwrap().unwrap();
        assert_eq!(found, one);
        let names: Vec<_> = found.labels.pairs().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["deployment_name", "pipeline_id", "deployment_request_id", "system"]);
        logs.close().await;
    }
}

#[tokio::test]
async fn old_lines_are_deleted_in_steps() {
    for place in places() {
        let logs = open(&place).await;
        let (one, two) = (ProjectId::new(), ProjectId::new());
        let lines: Vec<_> = (1..=10).flat_map(|at| [line(one, at, "x"), line(two, at, "y")]).collect();
        logs.append(&lines).await.unwrap();
        assert_eq!(logs.delete_before(6, 3).await.unwrap(), 6);
        assert_eq!(logs.delete_before(6, 3).await.unwrap(), 4);
        assert_eq!(logs.delete_before(6, 3).await.unwrap(), 0);
        assert_eq!(all(&logs, one).await[0].at_ns, 6);
        assert_eq!(logs.delete_of_project(one, 100).await.unwrap(), 5);
        assert_eq!(all(&logs, two).await.len(), 5);
        logs.close().await;
    }
}

#[test]
fn what_is_not_a_pattern_is_refused() {
    for bad in ["(", "a)(b", "[", "(?:a{1000}){1000}"] {
        assert!(matches!(LabelTest::matches(bad), Err(StoreError::Invalid(_))), "{bad}");
        assert!(matches!(LineTest::matches_not(bad), Err(StoreError::Invalid(_))), "{bad}");
    }
    assert!(Label::parse("project").is_none());
    assert!(Label::names().all(|name| Label::parse(name).is_some()));
}

const REQUEST: &str = "00000000-0000-0000-0000-000000000007";

fn sample(project: ProjectId) -> Vec<LogLine> {
    (0..120_i64)
        .map(|at| {
            let mut one = line(project, 10 + at * 10, ["ready", "loss: 0.5", "Loss: 'x' %", ""][(at % 4) as usize]);
            one.level = if at % 5 == 0 { Level::Error } else { Level::Info };
            one.labels = LogLabels {
                deployment_name: (at % 3 != 0).then(|| ["iris", "rose"][(at % 2) as usize].into()),
                deployment_request_id: (at % 7 == 0).then(|| REQUEST.parse().unwrap()),
                ..LogLabels::default()
            };
            one
        })
        .collect()
}

fn leaves() -> impl Strategy<Value = Filter> {
    let texts = ["", "iris", "rose", "info", "error", REQUEST, "nonsense"];
    let patterns = ["", ".+", ".*", "i.*s", "iris|rose", "0000.*7", "inf"];
    let parts = ["", "loss", "oss: ", "'", "%"];
    let label = proptest::sample::select(vec!["deployment_name", "deployment_request_id", "level"])
        .prop_map(|name| Label::parse(name).unwrap());
    prop_oneof![
        (label.clone(), proptest::sample::select(texts.to_vec()), any::<bool>()).prop_map(|(label, text, is)| {
            let text = text.to_owned();
            Filter::Label(label, if is { LabelTest::Is(text) } else { LabelTest::IsNot(text) })
        }),
        (label, proptest::sample::select(patterns.to_vec()), any::<bool>()).prop_map(|(label, text, is)| {
            let test = if is { LabelTest::matches(text) } else { LabelTest::matches_not(text) };
            Filter::Label(label, test.unwrap())
        }),
        (proptest::sample::select(parts.to_vec()), 0..4).prop_map(|(text, kind)| Filter::Line(match kind {
            0 => LineTest::Contains(text.into()),
            1 => LineTest::ContainsNot(text.into()),
            2 => LineTest::matches(text).unwrap(),
            _ => LineTest::matches_not(text).unwrap(),
        })),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    leaves().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            proptest::collection::vec(inner, 0..3).prop_map(Filter::Or),
        ]
    })
}

#[test]
fn searches_give_what_a_plain_filter_gives() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for place in places() {
        let logs = runtime.block_on(open(&place));
        let project = ProjectId::new();
        let lines = sample(project);
        runtime.block_on(logs.append(&lines)).unwrap();
        let queries = (filters(), 0..1_300_i64, 0..1_300_i64, any::<bool>(), 0..50_usize);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(300));
        runner
            .run(&queries, |(filter, from_ns, until_ns, backwards, limit)| {
                let query = LogQuery { from_ns, until_ns, backwards, limit, filter };
                let page = runtime.block_on(logs.search(project, &query)).unwrap();
                let within = |line: &&LogLine| (from_ns..until_ns).contains(&line.at_ns) && query.filter.passes(line);
                let mut wanted: Vec<_> = lines.iter().filter(within).cloned().collect();
                if backwards {
                    wanted.reverse();
                }
                wanted.truncate(limit);
                prop_assert_eq!(page.lines, wanted);
                prop_assert_eq!(page.stopped_at, None);
                Ok(())
            })
            .unwrap();
        runtime.block_on(logs.close());
    }
}
