//! The OpenAPI document: what handlers tell of themselves, and what holds for all of them, added in one pass.

use serde_json::json;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{HttpMethod, Operation as Described, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, LicenseBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
    ResponseBuilder, ServerBuilder, Type,
};

use crate::access::Demand;
use crate::routing::{Operations, PREFIXES};

/// The document of these operations.
pub(crate) fn of(operations: &Operations) -> OpenApi {
    let mut document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Modelyard")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("The HTTP API of Modelyard. All addresses exist under each of the servers below."))
                .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
                .build(),
        )
        .servers(Some(PREFIXES.map(|prefix| ServerBuilder::new().url(prefix).build())))
        .build();
    let mut schemas = vec![("Error".to_owned(), RefOr::T(error_schema()))];
    for operation in &operations.0 {
        schemas.extend(operation.schemas.iter().cloned());
        for (path, item) in &operation.paths.paths {
            let mut item = item.clone();
            for described in described(&mut item) {
                complete(described, path, operation.demand);
            }
            match document.paths.paths.get_mut(path) {
                Some(known) => known.merge_operations(item),
                None => {
                    document.paths.paths.insert(path.clone(), item);
                }
            }
        }
    }
    let components = document.components.get_or_insert_default();
    components.schemas.extend(schemas);
    let token = "A token, as: Token <token>, Bearer <token> or the bare token.";
    components.add_security_scheme(
        "token",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("Authorization", token))),
    );
    components
        .add_security_scheme("bearer", SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build()));
    document
}

fn described(item: &mut PathItem) -> impl Iterator<Item = &mut Described> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// The id, method and path of each operation, in the order of the contract's list.
pub(crate) fn index(operations: &Operations) -> Vec<(String, &'static str, String)> {
    let mut all = Vec::new();
    for operation in &operations.0 {
        for (path, item) in &operation.paths.paths {
            let methods = [
                ("GET", HttpMethod::Get),
                ("POST", HttpMethod::Post),
                ("PUT", HttpMethod::Put),
                ("PATCH", HttpMethod::Patch),
                ("DELETE", HttpMethod::Delete),
            ];
            for (word, method) in methods {
                if let Some(id) = find(item, &method).and_then(|described| described.operation_id.clone()) {
                    all.push((id, word, path.clone()));
                }
            }
        }
    }
    all.sort();
    all
}

fn find<'a>(item: &'a PathItem, method: &HttpMethod) -> Option<&'a Described> {
    match method {
        HttpMethod::Get => item.get.as_ref(),
        HttpMethod::Post => item.post.as_ref(),
        HttpMethod::Put => item.put.as_ref(),
        HttpMethod::Patch => item.patch.as_ref(),
        HttpMethod::Delete => item.delete.as_ref(),
        _ => None,
    }
}

/// Adds path parameters, security, the errors that can happen, and who may call it.
fn complete(described: &mut Described, path: &str, demand: Demand) {
    described.parameters.get_or_insert_default().splice(0..0, path_parameters(path));
    let mut errors = vec![
        ("400", "The request breaks a rule"),
        ("429", "Too much at once"),
        ("500", "A failure of the server"),
        ("503", "The server cannot answer now"),
    ];
    if demand.scope != "public" {
        errors.extend([
            ("401", "Nobody is signed in"),
            ("403", "Not allowed"),
            ("404", "Not there, or not to be seen"),
        ]);
        let none: [&str; 0] = [];
        described.security =
            Some(vec![SecurityRequirement::new("token", none), SecurityRequirement::new("bearer", none)]);
    }
    if described.request_body.is_some() {
        errors.extend([("409", "The name is taken, or the object is in use"), ("413", "The body is too large")]);
    }
    for (status, meaning) in errors {
        described.responses.responses.entry(status.to_owned()).or_insert_with(|| error_response(meaning));
    }
    for (status, response) in &mut described.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            response.description = success(status).to_owned();
        }
    }
    let permission = demand.permission.map_or(json!(null), |name| json!(name));
    let added = ExtensionsBuilder::new().add("x-permission", permission).add("x-scope", demand.scope).build();
    described.extensions.get_or_insert_default().merge(added);
}

/// What an answer of success means, in the document.
fn success(status: &str) -> &'static str {
    match status {
        "201" => "What was made",
        "204" => "Done",
        _ => "The answer",
    }
}

fn path_parameters(path: &str) -> Vec<RefOr<Parameter>> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let text = ObjectBuilder::new().schema_type(Type::String).build();
        let builder = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        RefOr::T(builder.required(Required::True).schema(Some(text)).build())
    };
    names.map(parameter).collect()
}

fn error_response(meaning: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
    RefOr::T(ResponseBuilder::new().description(meaning).content("application/json", content).build())
}

fn error_schema() -> utoipa::openapi::Schema {
    let text =
        ObjectBuilder::new().schema_type(Type::String).description(Some("What is wrong, in a sentence.")).build();
    ObjectBuilder::new().property("error", text).required("error").build().into()
}
