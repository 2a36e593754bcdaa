//! Operations: handlers that say in their types who may call them, registered under both prefixes.
//!
//! A handler's arguments begin with `State<App>` and a guard of [`crate::access`]. One that has no guard is not
//! accepted, so that no address can be left open by forgetting a check:
//!
//! ```compile_fail
//! use axum::extract::State;
//! use modelyard_api::{App, routing::Operations};
//!
//! #[utoipa::path(get, path = "/open")]
//! async fn open_to_all(State(_app): State<App>) {}
//!
//! Operations::default().add(utoipa_axum::routes!(open_to_all), open_to_all);
//! ```
//!
//! With a guard, even one that lets everybody in, it is:
//!
//! ```
//! use axum::extract::State;
//! use modelyard_api::{App, access::Public, routing::Operations};
//!
//! #[utoipa::path(get, path = "/open")]
//! async fn open_to_all(State(_app): State<App>, _public: Public) {}
//!
//! Operations::default().add(utoipa_axum::routes!(open_to_all), open_to_all);
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, on};
use modelyard_types::Error;
use utoipa::openapi::path::Paths;
use utoipa::openapi::{RefOr, Schema};
use utoipa_axum::PathItemExt;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::App;
use crate::access::{Demand, Guard};
use crate::drain;
use crate::error::{Refusal, add_rate_headers, stopping, tell_readers};
use crate::metrics::Figures;

/// The prefixes of the tree: the first is the one most clients use.
pub const PREFIXES: [&str; 2] = ["/v2.1", "/v2"];

/// The arguments of a handler that may be registered: the state, a guard, then whatever it needs.
pub trait Arguments: sealed::Sealed {
    /// The guard among them.
    type Guard: Guard;
}

mod sealed {
    /// Only the tuples of this module count.
    pub trait Sealed {}
}

macro_rules! arguments {
    ($(($($rest:ident),*))*) => {$(
        impl<M, G, $($rest),*> sealed::Sealed for (M, State<App>, G, $($rest,)*) {}
        impl<M, G: Guard, $($rest),*> Arguments for (M, State<App>, G, $($rest,)*) {
            type Guard = G;
        }
    )*};
}
arguments! { () (A) (A, B) (A, B, C) (A, B, C, D) }

/// An operation: where it is, what the document says of it, and what runs.
pub(crate) struct Operation {
    pub(crate) paths: Paths,
    pub(crate) schemas: Vec<(String, RefOr<Schema>)>,
    pub(crate) demand: Demand,
    router: MethodRouter<App>,
    figures: Arc<Figures>,
}

/// All operations that were added.
#[derive(Default)]
pub struct Operations(pub(crate) Vec<Operation>);

impl Operations {
    /// Adds a handler, with what `routes!` tells of the same handler.
    pub fn add<H, T>(&mut self, told: UtoipaMethodRouter<App>, handler: H)
    where
        H: Handler<T, App>,
        H::Future: Unpin,
        T: Arguments + 'static,
    {
        let (schemas, paths, _unguarded) = told;
        let (methods, id) = methods_of(&paths);
        let figures = Figures::new(&id);
        let measured = Measured { handler, figures: figures.clone(), streams: id.ends_with("_stream") };
        let router = methods
            .into_iter()
            .fold(MethodRouter::new(), |router, method| router.merge(on(method.to_method_filter(), measured.clone())));
        self.0.push(Operation { paths, schemas, demand: <T::Guard as Guard>::DEMAND, router, figures });
    }

    /// The routes of all operations, under both prefixes.
    pub(crate) fn router(&self) -> Router<App> {
        let mut router = Router::new();
        for operation in &self.0 {
            for path in operation.paths.paths.keys() {
                for prefix in PREFIXES {
                    router = router.route(&format!("{prefix}{path}"), operation.router.clone());
                }
            }
        }
        router
    }

    /// The figures of all operations.
    pub(crate) fn figures(&self) -> Vec<Arc<Figures>> {
        self.0.iter().map(|operation| operation.figures.clone()).collect()
    }
}

fn methods_of(paths: &Paths) -> (Vec<utoipa::openapi::HttpMethod>, String) {
    use utoipa::openapi::HttpMethod::{Delete, Get, Patch, Post, Put};
    let mut found = (Vec::new(), String::new());
    for item in paths.paths.values() {
        let operations =
            [(Get, &item.get), (Post, &item.post), (Put, &item.put), (Patch, &item.patch), (Delete, &item.delete)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                found.0.push(method);
                found.1 = operation.operation_id.clone().unwrap_or_default();
            }
        }
    }
    found
}

/// A handler whose calls are counted and timed, whose panics become answers, and whose answers carry the rate headers.
///
/// It stands where layers would, since each layer costs an allocation and a virtual call on the hot path.
struct Measured<H> {
    handler: H,
    figures: Arc<Figures>,
    /// Whether the answer is a stream, whose readers want refusals in words of their own.
    streams: bool,
}

impl<H: Clone> Clone for Measured<H> {
    fn clone(&self) -> Self {
        Self { handler: self.handler.clone(), figures: self.figures.clone(), streams: self.streams }
    }
}

impl<H, T> Handler<T, App> for Measured<H>
where
    H: Handler<T, App>,
    H::Future: Unpin,
{
    type Future = Answering<H::Future>;

    fn call(self, request: Request, app: App) -> Self::Future {
        let began = Instant::now();
        let Self { handler, figures, streams } = self;
        let request = drain::guarded(request);
        // A server that stops takes nothing new; what it was asked before goes on.
        let inner = if app.control().is_stopping() { None } else { Some(handler.call(request, app)) };
        Answering { inner, began, figures, streams }
    }
}

/// The answer of a [`Measured`] handler, on its way.
struct Answering<F> {
    /// Nothing when the server stops.
    inner: Option<F>,
    began: Instant,
    figures: Arc<Figures>,
    streams: bool,
}

impl<F: Future<Output = Response> + Unpin> Future for Answering<F> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        // What a panic leaves half done is never looked at again: the future is not polled after it.
        let polled = self.inner.as_mut().map(|inner| catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll(context))));
        let mut answer = match polled {
            Some(Ok(polled)) => ready!(polled),
            None => Refusal(stopping()).into_response(),
            Some(Err(_)) => Refusal(Error::Internal(format!("{} panicked", self.figures.operation()))).into_response(),
        };
        if self.streams {
            tell_readers(&mut answer);
        }
        add_rate_headers(answer.headers_mut());
        self.figures.count(answer.status(), self.began.elapsed());
        Poll::Ready(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_becomes_an_answer() {
        let inner = Some(Box::pin(async { panic!("on purpose") }));
        let answer = Answering { inner, began: Instant::now(), figures: Figures::new("test"), streams: false }.await;
        assert_eq!(answer.status(), 500);
        assert!(answer.headers().contains_key("x-ratelimit-reset"));
    }
}
