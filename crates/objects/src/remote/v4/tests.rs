//! Signatures against examples that others have published or made.

use super::*;

fn signer() -> Signer {
    Signer::S3 {
        access_key: "AKIAIOSFODNN7EXAMPLE".into(),
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        region: "us-east-1".into(),
    }
}

fn now() -> Timestamp {
    "2013-05-24T00:00:00Z".parse().unwrap()
}

#[test]
fn a_url_is_signed_as_amazon_shows_it() {
    let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
    let signed = signer().url(&Method::GET, &url, &[], Duration::from_secs(86400), now()).unwrap();
    assert_eq!(
        signed.as_str(),
        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
         &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z\
         &X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
         &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    );
}

#[test]
fn headers_are_signed_as_amazon_shows_it() {
    let url = Url::parse("https://examplebucket.s3.amazonaws.com/").unwrap();
    let query = [("max-keys", "2".to_owned()), ("prefix", "J".to_owned())];
    let added = signer().headers(&Method::GET, &url, &query, &[], b"", now()).unwrap();
    let proof = &added.iter().find(|(name, _)| *name == "authorization").unwrap().1;
    assert!(proof.ends_with("Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), "{proof}");
}

/// Signatures are long: these are hashes of those that Google's own library for Python makes of the same.
#[test]
fn urls_are_signed_as_googles_library_does() {
    let key_file = modelyard_testkit::stores::GcsServer::key_file("tests@modelyard-tests.iam.gserviceaccount.com");
    let signer = super::super::gcs::signer(&key_file.into()).unwrap();
    let url = Url::parse("https://storage.googleapis.com/models/some/prefix/a%20b%2B%C3%BC%252F~.txt").unwrap();
    let part = [("partNumber", "2".to_owned()), ("uploadId", "a/b+=".to_owned())];
    for (method, query, hash) in [
        (Method::GET, &[][..], "3549151f0a6c7eebc34836104df2bf40cee6f6bef0f44a2a47cd54870cfbaf32"),
        (Method::PUT, &part, "f5d81e404192e4d458089efa29c13ee249672cd00f27d1d3165fb349e3a9d952"),
    ] {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        let signed = signer.url(&method, &url, query, Duration::from_secs(600), now).unwrap();
        let (start, signature) = signed.as_str().split_once("&X-Goog-Signature=").unwrap();
        assert_eq!(hex::encode(digest::digest(&digest::SHA256, signature.as_bytes())), hash, "{start}");
    }
}
