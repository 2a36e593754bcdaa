//! Requests: direct ones are made here; get and list show them.

mod direct;
mod lists;
mod show;

use utoipa_axum::routes;

use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(direct::deployment_requests_create), direct::deployment_requests_create);
    all.add(routes!(direct::deployment_version_requests_create), direct::deployment_version_requests_create);
    all.add(routes!(show::deployment_requests_get), show::deployment_requests_get);
    all.add(routes!(show::deployment_version_requests_get), show::deployment_version_requests_get);
    all.add(routes!(lists::deployment_requests_list), lists::deployment_requests_list);
    all.add(routes!(lists::deployment_version_requests_list), lists::deployment_version_requests_list);
    all.add(routes!(lists::project_requests_list), lists::project_requests_list);
}
