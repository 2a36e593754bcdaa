//! What handlers and loops ask of the database, as they ask it.

use modelyard_store::requests::{self, Portion, RequestFilter, Scope};
use modelyard_store::{Result, Store};
use modelyard_types::Timestamp;
use modelyard_types::ids::RequestId;
use modelyard_types::requests::RequestStatus::{
    self, Cancelled, CancelledPending, Completed, Failed, Pending, Processing,
};

use crate::figures::Figure;
use crate::fill::World;

/// What a loop deletes and ends in one step.
const STEP: i64 = 1_000;
/// What a lane takes in at once, and what a client may ask for by id.
const MANY: usize = 250;

/// All questions. Those that change rows come last.
pub async fn all(store: &Store, world: &World) -> Result<Vec<Figure>> {
    let mut figures = lists(store, world).await?;
    figures.extend(single(store, world).await?);
    figures.extend(loops(store, world).await?);
    Ok(figures)
}

/// Lists of the version with half of all requests (a deployment's list is that of its default version), and of its project.
fn filters(world: &World) -> Vec<(&'static str, RequestFilter)> {
    let usual = RequestFilter::of(Scope::Version(world.version()));
    let project = RequestFilter::of(Scope::Project(world.project()));
    let at = |status: RequestStatus| RequestFilter { statuses: vec![status], ..usual.clone() };
    let ended = vec![Completed, Failed, Cancelled, CancelledPending];
    let several = |of: &RequestFilter| RequestFilter { statuses: ended.clone(), ..of.clone() };
    let between =
        |from, until| RequestFilter { from: Some(world.at(from)), until: Some(world.at(until)), ..usual.clone() };
    let after = |of: &RequestFilter, offset| RequestFilter { offset, ..of.clone() };
    let search = |of: &RequestFilter, part: &str| RequestFilter { search_id: Some(part.to_owned()), ..of.clone() };
    let old = world.id(10).to_string();
    vec![
        ("version: completed, when nothing is asked for", usual.clone()),
        ("version: pending", at(Pending)),
        ("version: processing", at(Processing)),
        ("version: failed", at(Failed)),
        ("version: cancelled", at(Cancelled)),
        ("version: cancelled_pending", at(CancelledPending)),
        ("version: four statuses", several(&usual)),
        ("version: limit 1000", RequestFilter { limit: 1_000, ..usual.clone() }),
        ("version: four statuses, limit 1000", RequestFilter { limit: 1_000, ..several(&usual) }),
        ("version: the oldest first", RequestFilter { oldest_first: true, ..usual.clone() }),
        ("version: since a week", between(80, 100)),
        ("version: some days of a month ago", between(10, 20)),
        ("version: four statuses, some days of a month ago", several(&between(10, 20))),
        ("version: until before the first", between(0, 0)),
        ("version: offset 1,000", after(&usual, 1_000)),
        ("version: offset 10,000", after(&usual, 10_000)),
        ("version: four statuses, offset 10,000", after(&several(&usual), 10_000)),
        ("version: offset 100,000", after(&usual, 100_000)),
        ("version: four statuses, offset 100,000", after(&several(&usual), 100_000)),
        ("version: offset 1,000,000", after(&usual, 1_000_000)),
        ("version: four statuses, offset 1,000,000", after(&several(&usual), 1_000_000)),
        ("project: completed, when nothing is asked for", project.clone()),
        ("project: failed", RequestFilter { statuses: vec![Failed], ..project.clone() }),
        ("project: four statuses", several(&project)),
        ("project: four statuses, offset 10,000", after(&several(&project), 10_000)),
        ("project: offset 7,000,000", after(&project, 7_000_000)),
        ("project: four statuses, offset 7,000,000", after(&several(&project), 7_000_000)),
        ("project: search_id, a whole id", search(&several(&project), &old)),
        ("project: search_id, the first characters of an old id", search(&several(&project), &old[..13])),
        ("version: search_id, three characters", search(&usual, "abc")),
        ("version: search_id, the last characters of a recent id", search(&usual, &world.id(99).to_string()[24..])),
        ("version: search_id, in no id", search(&usual, "fffffff0")),
        ("version: four statuses, search_id in no id", search(&several(&usual), "fffffff0")),
        ("project: four statuses, search_id in no id", search(&several(&project), "fffffff0")),
    ]
}

async fn lists(store: &Store, world: &World) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, filter) in filters(world) {
        figures.push(Figure::of(name, async || Ok(requests::list(store, &filter).await?.len())).await?);
    }
    Ok(figures)
}

/// By id: with and without data, and many.
async fn single(store: &Store, world: &World) -> Result<Vec<Figure>> {
    let old = world.id(10);
    let many: Vec<RequestId> = (0..100).map(|at| world.id(at)).collect();
    Ok(vec![
        Figure::of("get, metadata_only", async || Ok(requests::get(store, old).await?.iter().len())).await?,
        Figure::of("get, the data of one", async || Ok(requests::get_data(store, old).await?.iter().len())).await?,
        Figure::of("collect 100", async || Ok(requests::get_many(store, &many).await?.len())).await?,
        Figure::of("which of 100 exist", async || Ok(requests::existing(store, &many).await?.len())).await?,
    ])
}

/// What loops ask again and again, and what callers of batches do.
async fn loops(store: &Store, world: &World) -> Result<Vec<Figure>> {
    let life = world.life;
    let now = Timestamp::now();
    let claim = async || {
        let mut tx = store.begin().await?;
        let claimed = requests::claim(&mut tx, world.version(), life, Portion::of(MANY)).await?;
        tx.commit().await.map(|()| claimed.len())
    };
    let orphans = async || {
        let mut tx = store.begin().await?;
        let settled = requests::end_orphans(&mut tx, life, now, now, "gone", STEP).await?;
        tx.commit().await.map(|()| settled.0)
    };
    let expired = async || {
        let mut tx = store.begin().await?;
        let deleted = requests::delete_expired(&mut tx, now, STEP).await?;
        tx.commit().await.map(|()| deleted.count)
    };
    let of_version = async || {
        let mut tx = store.begin().await?;
        let deleted = requests::delete_of_version(&mut tx, world.version(), STEP).await?;
        tx.commit().await.map(|()| deleted.count)
    };
    let of_project = async || {
        let mut tx = store.begin().await?;
        let deleted = requests::delete_of_project(&mut tx, world.project(), STEP).await?;
        tx.commit().await.map(|()| deleted.count)
    };
    Ok(vec![
        Figure::of("loops: how many wait, by version", async || Ok(requests::waiting(store).await?.len())).await?,
        Figure::of("loops: what a life has claimed", async || Ok(requests::claimed_by(store, life).await?.len()))
            .await?,
        Figure::of("loops: what somebody asked to cancel", async || Ok(requests::to_cancel(store, life).await?.len()))
            .await?,
        Figure::of("loops: what no life has", orphans).await?,
        Figure::of("claim 250", claim).await?,
        Figure::of("loops: delete 1,000 whose time is over", expired).await?,
        Figure::of("loops: delete 1,000 of a version", of_version).await?,
        Figure::of("loops: delete 1,000 of a project", of_project).await?,
    ])
}
