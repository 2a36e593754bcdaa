//! Requests from the lane to their record, with seats that the tests play.
#![expect(clippy::unwrap_used, reason = "tests")]

mod after_its_end;
mod calling_off;
mod feeding;
mod giving_up;
mod gone;
mod kept;
mod keyed;
mod lists;
mod stopping;
mod storing;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use modelyard_dispatch::{Call, FailureKind, Outcome, Seat, SeatId};
use modelyard_types::RequestId;
use modelyard_types::requests::RequestStatus;
use serde_json::json;
use tokio::task::JoinHandle;

use super::*;
use crate::catalogue::Place;
use crate::testing::{World, of};

/// A process that the test plays.
#[derive(Default)]
struct Played {
    calls: Mutex<Vec<u64>>,
    killed: AtomicBool,
}

impl Seat for Played {
    fn hand_over(&self, ticket: u64, _: &Call) {
        self.calls.lock().unwrap().push(ticket);
    }
    fn cancel(&self, _: u64) {}
    fn credit(&self, _: u64, _: u32) {}
    fn kill(&self, _: &str) {
        self.killed.store(true, Ordering::Relaxed);
    }
}

fn seat(place: &Place) -> (SeatId, Arc<Played>) {
    let (id, seat) = (SeatId::new(), Arc::new(Played::default()));
    place.2.lane.seat_ready(id, seat.clone());
    (id, seat)
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

impl Played {
    async fn next(&self) -> u64 {
        until(|| !self.calls.lock().unwrap().is_empty()).await;
        self.calls.lock().unwrap().remove(0)
    }
}

fn send(world: &World, place: &Place, body: &'static str) -> JoinHandle<Result<Answer>> {
    let (control, actor) = (world.control.clone(), Arc::new(world.by.clone()));
    let (project, deployment, version) = place.clone();
    let new = DirectRequest {
        body: Bytes::from_static(body.as_bytes()),
        text: false,
        timeout: 300,
        priority: 1,
        key: None,
        permit: Permit::default(),
    };
    tokio::spawn(
        async move { control.direct_request(&actor, &project, &deployment.name, Some(&version.name), new).await },
    )
}

fn record(world: &World) {
    let control = world.control.clone();
    tokio::spawn(async move { control.0.recorder.run(control.store(), &control.0.nudges.cleaning).await });
}

async fn shown(world: &World, place: &Place, id: RequestId) -> Result<RequestView> {
    world.control.get_request(&place.0, place.1.id, Some(place.2.id), id, false).await
}

async fn listed(world: &World, place: &Place, status: RequestStatus) -> Vec<RequestId> {
    let filter =
        RequestFilter { version: Some(place.2.id), statuses: vec![status], limit: 50, ..RequestFilter::default() };
    let found = world.control.list_requests(&place.0, &filter).await.unwrap();
    found.into_iter().map(|view| view.request.id).collect()
}

#[tokio::test]
async fn a_request_is_answered_and_recorded() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, played) = seat(&place);
    let answer = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));

    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.ended.status, RequestStatus::Completed);
    let view = shown(&world, &place, answer.id).await.unwrap();
    let (input, result) = (view.request_data.unwrap().read().await, view.result.unwrap().read().await);
    assert_eq!((input, result), (r#"{"x":1}"#.into(), r#"{"x":2}"#.into()));
    assert_eq!(listed(&world, &place, RequestStatus::Completed).await, [answer.id]);
    assert!(world.control.0.live.is_empty());
}

#[tokio::test]
async fn a_request_that_waits_long_is_listed_once_wherever_it_stands() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let answer = send(&world, &place, r#"{"x":1}"#);
    until(|| !world.control.0.live.is_empty()).await;
    let live = world.control.0.live.filter(|_| true).remove(0);
    live.record_unended();
    assert_eq!(listed(&world, &place, RequestStatus::Pending).await, [live.id]);

    let (id, played) = seat(&place);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    assert_eq!(listed(&world, &place, RequestStatus::Processing).await, [live.id]);
    assert!(listed(&world, &place, RequestStatus::Pending).await.is_empty());

    let ended = Outcome::Failed { message: "no\0good".into(), public: None, kind: FailureKind::Exception };
    place.2.lane.finished(id, ticket, ended);
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.ended.error_message.as_deref(), Some("nogood"));
    assert_eq!(listed(&world, &place, RequestStatus::Failed).await, [live.id]);
    assert!(listed(&world, &place, RequestStatus::Processing).await.is_empty());
}

#[tokio::test]
async fn an_interrupted_request_runs_again_three_times_and_no_more() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "restart_request_interruption": true})).await;
    record(&world);
    let answer = send(&world, &place, r#"{"x":1}"#);
    for _ in 0..4 {
        let (id, played) = seat(&place);
        let ticket = played.next().await;
        place.2.lane.started(id, ticket);
        place.2.lane.seat_gone(id, "The worker process ended");
    }
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.ended.error_message.as_deref(), Some("The worker process ended"));
    assert_eq!(shown(&world, &place, answer.id).await.unwrap().request.retries, 3);
}

#[tokio::test]
async fn a_request_that_was_answered_is_not_run_again() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "restart_request_interruption": true})).await;
    let (id, played) = seat(&place);
    let answer = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    world.control.0.live.filter(|_| true).remove(0).interrupt("The server is stopping");
    place.2.lane.seat_gone(id, "killed");
    assert_eq!(answer.await.unwrap().unwrap().ended.error_message.as_deref(), Some("The server is stopping"));
    let (_, again) = seat(&place);
    assert!(again.calls.lock().unwrap().is_empty());
    assert_eq!(place.2.lane.load().waiting_direct, 0);
}

#[tokio::test]
async fn a_request_past_its_time_ends_even_if_its_lane_forgot_it() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    let answer = send(&world, &place, r#"{"x":1}"#);
    until(|| !world.control.0.live.is_empty()).await;
    let live = world.control.0.live.filter(|_| true).remove(0);
    let (id, played) = seat(&place);
    let ticket = played.next().await;
    live.expire(live.deadline().unwrap());
    assert_eq!(answer.await.unwrap().unwrap().ended.error_message.as_deref(), Some("Request timed out"));
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(b"{}")));

    let forgotten = send(&world, &place, r#"{"x":1}"#);
    until(|| !world.control.0.live.is_empty()).await;
    let live = world.control.0.live.filter(|_| true).remove(0);
    world.control.0.live.remove(live.id);
    live.expire(live.deadline().unwrap().plus(std::time::Duration::from_secs(60)));
    assert_eq!(forgotten.await.unwrap().unwrap().ended.error_message.as_deref(), Some("Request timed out"));
}

#[tokio::test]
async fn what_nobody_will_run_is_refused_at_once() {
    let world = World::new().await;
    let (version, place) = world.served(json!({"version": "v1"})).await;
    let waiting = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 1).await;
    world.update(&version, json!({"maximum_instances": 0})).await.unwrap();
    crate::loops::single::scale(&world.control);
    let reason = format!("Version 'v1' of deployment '{}' takes no requests: its maximum_instances is 0", place.1.name);
    assert_eq!(waiting.await.unwrap().unwrap().ended.error_message, Some(reason.clone()));
    let place = world.control.catalogue().version(version.id).unwrap();
    assert_eq!(send(&world, &place, r#"{"x":1}"#).await.unwrap().err().unwrap().to_string(), reason);

    world.update(&version, json!({"maximum_instances": 1, "instance_type": "16384mb"})).await.unwrap();
    let place = world.control.catalogue().version(version.id).unwrap();
    let too_large = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 1).await;
    crate::loops::single::scale(&world.control);
    let reason = "An instance of version 'v1' needs 16384 MiB of memory, and this server has 4096 MiB for instances";
    assert_eq!(too_large.await.unwrap().unwrap().ended.error_message.as_deref(), Some(reason));
}

#[tokio::test]
async fn what_waits_ends_when_its_project_is_suspended_or_its_version_deleted() {
    let world = World::new().await;
    let (version, place) = world.served(json!({"version": "v1"})).await;
    let waiting = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 1).await;
    let suspend = |on: bool| world.control.update_project(&world.by, world.project, of(json!({"suspend": on})));
    suspend(true).await.unwrap();
    crate::loops::single::scale(&world.control);
    let told = waiting.await.unwrap().unwrap().ended.error_message;
    assert_eq!(told.as_deref(), Some("The project is suspended by a user"));

    suspend(false).await.unwrap();
    let place = world.control.catalogue().version(version.id).unwrap();
    let waiting = send(&world, &place, r#"{"x":1}"#);
    until(|| place.2.lane.load().waiting_direct == 1).await;
    world.control.delete_deployment(&world.by, world.project, place.1.id).await.unwrap();
    let told = waiting.await.unwrap().unwrap().ended.error_message;
    assert_eq!(told.as_deref(), Some("The deployment version was deleted"));
    let late = send(&world, &place, r#"{"x":1}"#).await.unwrap().err().unwrap();
    assert_eq!(late.to_string(), "The deployment version was deleted");
    assert!(world.control.0.live.is_empty());
}

#[tokio::test]
async fn without_retention_nothing_stays() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1", "request_retention_mode": "none"})).await;
    record(&world);
    let (id, played) = seat(&place);
    let answer = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    world.control.0.live.filter(|_| true).remove(0).record_unended();
    place.2.lane.started(id, ticket);
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from_static(br#"{"x":2}"#)));
    let answer = answer.await.unwrap().unwrap();
    assert!(matches!(shown(&world, &place, answer.id).await, Err(Error::NotFound(Kind::Request))));
}

#[tokio::test]
async fn a_request_whose_instances_cannot_start_is_told_why() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    crate::loops::start(&world.control);
    let answer = send(&world, &place, r#"{"x":1}"#).await.unwrap().unwrap();
    assert_eq!(answer.ended.error_message.as_deref(), Some("Nothing starts here"));
    world.control.shut_down(std::time::Duration::ZERO).await;
}

#[tokio::test]
async fn data_without_a_request_goes_when_it_is_old() {
    let world = World::new().await;
    let (_, place) = world.served(json!({"version": "v1"})).await;
    record(&world);
    let (id, played) = seat(&place);
    let answer = send(&world, &place, r#"{"x":1}"#);
    let ticket = played.next().await;
    place.2.lane.started(id, ticket);
    let large = format!(r#"{{"x":1{}}}"#, " ".repeat(100_000));
    place.2.lane.finished(id, ticket, Outcome::Result(Bytes::from(large.clone())));
    let kept = answer.await.unwrap().unwrap();
    world.control.0.recorder.catch_up().await.unwrap();
    // As if the server had been killed between the object and the row.
    let stray = world.control.objects().put(RequestId::new().0, Bytes::from_static(b"{}")).await.unwrap();

    crate::loops::single::clear_strays(&world.control, std::time::Duration::from_secs(3600)).await;
    assert!(world.control.objects().get(&stray).await.is_ok(), "its row may be on its way");
    crate::loops::single::clear_strays(&world.control, std::time::Duration::ZERO).await;
    assert!(world.control.objects().get(&stray).await.is_err());
    assert_eq!(shown(&world, &place, kept.id).await.unwrap().result.unwrap().read().await, large);
}
