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
