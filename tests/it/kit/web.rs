//! A small web server for what builds fetch.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use tokio::task::JoinHandle;

/// Serves files on a port of its own until it is dropped.
pub struct Web {
    /// Where it is, without a slash behind.
    pub address: String,
    serving: JoinHandle<()>,
}

impl Web {
    /// Serves these bytes under these paths.
    pub async fn serve(files: Vec<(String, Vec<u8>)>) -> Self {
        let files: Arc<HashMap<String, Vec<u8>>> = Arc::new(files.into_iter().collect());
        let router = Router::new().fallback(move |path: Uri| {
            let file = files.get(&path.path().replace("/./", "/")).cloned();
            async move { file.ok_or(StatusCode::NOT_FOUND).into_response() }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
