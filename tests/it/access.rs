//! Who may call what: generated from our own document, so that no operation is forgotten.

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::*;

/// An operation of the document: its method, its path with names filled in, and its scope.
struct Operation {
    id: String,
    method: Method,
    path: String,
    scope: String,
}

/// All operations, with `demo`, `d` and `v1` in their paths, and ids of nothing.
async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = server.root().get("/openapi.json").await.fine();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, told) in methods.as_object().unwrap() {
            let Some(id) = told["operationId"].as_str() else { continue };
            let mut path = path
                .replace("{project_name}", "demo")
                .replace("{deployment_name}", "d")
                .replace("{version}", "v1")
                .replace("{organization_name}", "default")
                .replace("{environment_name}", "none");
            while let Some(start) = path.find('{') {
                let end = start + path[start..].find('}').unwrap();
                path.replace_range(start..=end, "01890000-0000-7000-8000-000000000000");
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let scope = told["x-scope"].as_str().unwrap_or_default().to_owned();
            found.push(Operation { id: id.to_owned(), method, path, scope });
        }
    }
    assert!(found.len() > 40, "the document has {} operations", found.len());
    found
}

async fn call(at: &At, operation: &Operation) -> Reply {
    let request = at.request(operation.method.clone(), &operation.path);
    let request = if operation.method == Method::GET { request } else { request.json(&json!({})) };
    at.send(request).await
}

async fn set_up(server: &TestServer) {
    let deployment = server.project("demo").await.deployment("d", "plain", "plain").await;
    deployment.version("v1", json!({})).await;
}

both! {
    async fn without_a_good_token_nothing_works(server) {
        set_up(&server).await;
        let kept = server.kept().await;
        let unknown = format!("Token {}", "0".repeat(40));
        let doubled = format!("Token Token {}", server.token());
        for (authorization, sentence) in [
            (None, "Authentication credentials were not provided"),
            (Some(""), "Authentication credentials were not provided"),
            (Some("Token"), "The Authorization header holds no token"),
            (Some("Basic YTpi"), "The Authorization header must be of the form: Token <token>"),
            (Some("Token nonsense"), "Invalid token"),
            (Some(unknown.as_str()), "Invalid token"),
            (Some(doubled.as_str()), "The token in the Authorization header should not contain spaces"),
        ] {
            let stranger = server.signed(authorization);
            for operation in operations(&server).await.iter().filter(|it| it.id != "service_status") {
                let refused = call(&stranger, operation).await;
                assert_eq!((refused.status, refused.error()), (401, sentence), "{} with {authorization:?}", operation.id);
                assert_eq!(refused.headers["www-authenticate"], "Token");
            }
        }
        assert_eq!(server.kept().await, kept);
        server.get("/projects/demo").await.fine();
    }

    async fn who_has_no_rights_finds_nothing_and_may_do_nothing(server) {
        set_up(&server).await;
        let (_, token) = server.user("somebody@modelyard.local").await;
        let stranger = server.signed(Some(&format!("Token {token}")));
        until("the token is known", async || stranger.get("/user").await.status == 200).await;
        let kept = server.kept().await;
        for operation in operations(&server).await {
            let answer = call(&stranger, &operation).await;
            let wanted = match (operation.id.as_str(), operation.scope.as_str()) {
                ("service_status" | "user_get" | "walls_get", _) => "200",
                ("organizations_list" | "projects_list", _) => "200 []",
                (id, _) if id.starts_with("organizations_") && id != "organizations_create" => "404 Organization was not found",
                ("organizations_create", _) => "403 You do not have permission to perform this action",
                // The body is looked at first: it names the organization.
                ("projects_create", _) => "400",
                _ => "404 Project was not found",
            };
            let text = answer.json()["error"].as_str().map_or_else(|| answer.to_string(), |error| format!("{} {error}", answer.status));
            assert!(text.starts_with(wanted), "{} ({}): {text}, not {wanted}", operation.id, operation.scope);
        }
        let body = json!({ "name": "mine", "organization_name": "default" });
        assert_snapshot!(stranger.post("/projects", body).await, @r#"404 {"error":"Organization was not found"}"#);
        assert_eq!(server.kept().await, kept);
    }

    async fn the_token_of_a_deleted_user_stops_working(server) {
        set_up(&server).await;
        let (user, token) = server.user("somebody@modelyard.local").await;
        let somebody = server.signed(Some(&format!("Token {token}")));
        until("the token is known", async || somebody.get("/user").await.status == 200).await;
        server.delete_user(user).await;
        until("the token is forgotten", async || somebody.get("/user").await.status == 401).await;
        for operation in operations(&server).await.iter().filter(|it| it.id != "service_status") {
            let refused = call(&somebody, operation).await;
            assert_eq!((refused.status, refused.error()), (401, "Invalid token"), "{}", operation.id);
        }
    }

    async fn each_operation_says_who_may_call_it(server) {
        for operation in operations(&server).await {
            assert!(!operation.scope.is_empty(), "{} says nothing", operation.id);
        }
    }

    async fn a_slow_client_without_a_token_is_refused_before_its_body(server) {
        // The body never ends, and the answer comes all the same.
        let mut socket = TcpStream::connect(server.origin().strip_prefix("http://").unwrap()).await.unwrap();
        let head = "POST /v2.1/projects HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        socket.read_exact(&mut start).await.unwrap();
        assert_eq!(start, *b"HTTP/1.1 401");
    }
}
