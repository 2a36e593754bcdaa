//! The signed-in user.

use axum::extract::State;
use modelyard_types::Kind;
use modelyard_types::time::ObjectTime;
use modelyard_types::users::UserDetail;
use utoipa_axum::routes;

use crate::App;
use crate::access::SignedIn;
use crate::error::{Result, not_found};
use crate::json::Json;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(user_get), user_get);
}

/// Tell who is signed in.
#[utoipa::path(get, path = "/user", tag = "Users", responses((status = 200, body = UserDetail)))]
async fn user_get(State(app): State<App>, signed_in: SignedIn) -> Result<Json<UserDetail>> {
    let user = modelyard_store::users::get(app.control().store(), signed_in.actor.user).await?;
    let user = user.ok_or_else(|| not_found(Kind::User))?;
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(Json(UserDetail {
        id: user.id,
        email: user.email,
        name: filled(user.name),
        surname: filled(user.surname),
        registration_date: ObjectTime(user.created_at),
        authentication: "token",
    }))
}
