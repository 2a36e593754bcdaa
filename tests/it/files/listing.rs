//! Lists of files: by prefix, with what names have in common given once, page by page.

use crate::kit::*;

/// All pages of a list: files, prefixes, and how many pages there were.
async fn all(bucket: &At, query: &[(&str, &str)]) -> (Vec<String>, Vec<String>, usize) {
    let (mut files, mut prefixes, mut pages, mut token) = (Vec::new(), Vec::new(), 0, None::<String>);
    loop {
        let mut query = query.to_vec();
        query.extend(token.as_deref().map(|token| ("continuation_token", token)));
        let page = bucket.find("/files", &query).await.fine();
        let texts = |list: &Value, field: Option<&str>| -> Vec<String> {
            let text = |it: &Value| field.map_or(it, |field| &it[field]).as_str().unwrap().to_owned();
            list.as_array().unwrap().iter().map(text).collect()
        };
        files.extend(texts(&page["files"], Some("file")));
        prefixes.extend(texts(&page["prefixes"], None));
        pages += 1;
        match page["continuation_token"].as_str() {
            Some(next) => token = Some(next.to_owned()),
            None => return (files, prefixes, pages),
        }
    }
}

both! {
    async fn a_list_knows_prefixes_delimiters_and_pages(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        let names = ["a", "a/1", "a/2", "a/b/3", "b-1", "b/1", "b/2", "c/d/e", "ü/1", "z"];
        for name in names {
            bucket.store(name, "x").await;
        }
        assert_eq!(all(&bucket, &[]).await, (names.map(String::from).to_vec().tap_sorted(), vec![], 1));
        let (files, prefixes, _) = all(&bucket, &[("delimiter", "/")]).await;
        assert_eq!((files.join(" "), prefixes.join(" ")), ("a b-1 z".into(), "a/ b/ c/ ü/".into()));
        let (files, prefixes, _) = all(&bucket, &[("prefix", "a/"), ("delimiter", "/")]).await;
        assert_eq!((files.join(" "), prefixes.join(" ")), ("a/1 a/2".into(), "a/b/".into()));
        let (files, ..) = all(&bucket, &[("prefix", "/b")]).await;
        assert_eq!(files.join(" "), "b-1 b/1 b/2");
        assert_eq!(all(&bucket, &[("prefix", "nothing")]).await, (vec![], vec![], 1));
        for limit in ["1", "2", "3", "7"] {
            let whole = all(&bucket, &[("delimiter", "/")]).await;
            let (files, prefixes, pages) = all(&bucket, &[("delimiter", "/"), ("limit", limit)]).await;
            assert_eq!((&files, &prefixes), (&whole.0, &whole.1), "in pages of {limit}");
            assert_eq!(pages, 7_usize.div_ceil(limit.parse().unwrap()));
            assert_eq!(all(&bucket, &[("limit", limit)]).await.0.len(), names.len());
        }
    }

    async fn lists_that_make_no_sense_are_refused(server) {
        let project = server.project("demo").await;
        let bucket = project.at("/buckets/default");
        for name in ["a", "b", "c"] {
            bucket.store(name, "x").await;
        }
        assert_snapshot!(bucket.find("/files", &[("limit", "0")]).await, @r#"400 {"error":"limit must be between 1 and 1000"}"#);
        assert_snapshot!(bucket.find("/files", &[("limit", "1001")]).await, @r#"400 {"error":"limit must be between 1 and 1000"}"#);
        let page = bucket.find("/files", &[("limit", "1")]).await.fine();
        let token = page.str("continuation_token");
        bucket.find("/files", &[("limit", "1"), ("continuation_token", &token)]).await.fine();
        let forged = [token.clone() + "A", token[1..].to_owned(), "x".into(), "%00".into(), "Yg".into(), "x".repeat(10_000)];
        for forged in forged {
            assert_snapshot!(bucket.find("/files", &[("continuation_token", &forged)]).await, @r#"400 {"error":"continuation_token is not one that this list has given"}"#);
        }
        // Nor is one of another list.
        assert_eq!(bucket.find("/files", &[("prefix", "a"), ("continuation_token", &token)]).await.status, 400);
        project.post("/buckets", json!({ "name": "other" })).await.fine();
        assert_eq!(project.find("/buckets/other/files", &[("continuation_token", &token)]).await.status, 400);
    }
}

/// A list in the order of its bytes.
trait Sorted {
    fn tap_sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    fn tap_sorted(mut self) -> Self {
        self.sort_unstable();
        self
    }
}
