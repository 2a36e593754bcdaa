//! Requests: made at once, for later or as a stream; shown, called off, deleted.
//!
//! Each operation comes twice, for a deployment and for a version of it, with one implementation.

mod batch;
mod change;
mod data;
mod detail;
mod direct;
mod ids;
mod lists;
mod many;
mod show;
mod stream;

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
    all.add(routes!(batch::batch_deployment_requests_create), batch::batch_deployment_requests_create);
    all.add(routes!(batch::batch_deployment_version_requests_create), batch::batch_deployment_version_requests_create);
    all.add(routes!(stream::deployment_requests_stream), stream::deployment_requests_stream);
    all.add(routes!(stream::deployment_version_requests_stream), stream::deployment_version_requests_stream);
    all.add(routes!(stream::deployment_requests_follow_stream), stream::deployment_requests_follow_stream);
    all.add(
        routes!(stream::deployment_version_requests_follow_stream),
        stream::deployment_version_requests_follow_stream,
    );
    all.add(routes!(change::deployment_requests_update), change::deployment_requests_update);
    all.add(routes!(change::deployment_version_requests_update), change::deployment_version_requests_update);
    all.add(routes!(change::deployment_requests_delete), change::deployment_requests_delete);
    all.add(routes!(change::deployment_version_requests_delete), change::deployment_version_requests_delete);
    all.add(routes!(data::deployment_requests_input_get), data::deployment_requests_input_get);
    all.add(routes!(data::deployment_requests_output_get), data::deployment_requests_output_get);
    all.add(routes!(data::deployment_version_requests_input_get), data::deployment_version_requests_input_get);
    all.add(routes!(data::deployment_version_requests_output_get), data::deployment_version_requests_output_get);
    all.add(routes!(many::deployment_requests_batch_get), many::deployment_requests_batch_get);
    all.add(routes!(many::deployment_version_requests_batch_get), many::deployment_version_requests_batch_get);
    all.add(routes!(many::deployment_requests_batch_cancel), many::deployment_requests_batch_cancel);
    all.add(routes!(many::deployment_version_requests_batch_cancel), many::deployment_version_requests_batch_cancel);
    all.add(routes!(many::deployment_requests_batch_delete), many::deployment_requests_batch_delete);
    all.add(routes!(many::deployment_version_requests_batch_delete), many::deployment_version_requests_batch_delete);
}
