//! Trouble with the package index, or the way to it.

use super::{Case, Complaint, package_of};

/// Words by which uv says that it reached nobody, or not to the end.
const UNREACHABLE: [&str; 9] = [
    "error sending request",
    "client error (Connect)",
    "dns error",
    "tcp connect error",
    "operation timed out",
    "Network connectivity is disabled",
    "error decoding response body",
    "request or response body error",
    "Failed to download distribution due to network timeout",
];
/// What the last cause means, by words in the causes, and what to do about it.
const REASONS: [(&[&str], &str, &str); 6] = [
    (
        &["dns error", "failed to lookup address"],
        "its name is not known (DNS)",
        "the operator checks the address and this server's name resolution",
    ),
    (
        &["Connection refused"],
        "the connection was refused",
        "the operator checks the address and port, and that the index is running",
    ),
    (
        &["certificate", "tls", "TLS", "corrupt message", "handshake", "UnknownIssuer"],
        "no secure connection (TLS) could be made",
        "the operator checks its certificate; SSL_CERT_FILE names one of an authority of your own",
    ),
    (&["timed out", "timeout"], "it did not answer in time", "try again, or let the operator check the network"),
    (
        &["body", "end of file", "reset by peer"],
        "the connection broke off in the middle of an answer",
        "try again, or let the operator check the network",
    ),
    (
        &["Network connectivity is disabled"],
        "the network is switched off for builds",
        "the operator unsets UV_OFFLINE, or provides the package by find_links",
    ),
];
const CREDENTIALS: &str =
    "the operator gives the index the right address and credentials (settings index_url and extra_index_urls)";

/// The sentence, when the index or the network is at fault.
pub(super) fn explain(complaint: &Complaint, case: &Case<'_>) -> Option<String> {
    let texts = || [&complaint.head].into_iter().chain(complaint.causes.iter().flatten());
    let address = texts().find_map(|text| text.split_once("Failed to fetch: "));
    let address = address.map(|(_, address)| address.trim_matches('`'));
    let place = place(complaint, case);
    let whose = match complaint.head.contains(" @ ") {
        true => "the address",
        false => "the package index",
    };
    let answered = texts().find_map(|text| text.split_once("HTTP status ").map(|(_, rest)| rest));
    if let Some(answered) = answered {
        let status = answered.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or(answered, |(it, _)| it);
        let at = answered.split_once(" for url (").map(|(_, url)| url.trim_end_matches(')')).or(address);
        return Some(start(
            &place,
            &format!("{whose} {} answered {status}; {}", at.unwrap_or_default(), what_to_do(status)),
        ));
    }
    texts().find(|text| UNREACHABLE.iter().any(|words| text.contains(words)))?;
    let all: Vec<&str> = texts().map(String::as_str).collect();
    let known = REASONS.iter().find(|(words, ..)| all.iter().any(|text| words.iter().any(|word| text.contains(word))));
    let last = complaint.causes.last().and_then(|lines| lines.first()).unwrap_or(&complaint.head).as_str();
    let (reason, advice) =
        known.map_or((last, "let the operator check the network"), |(_, reason, advice)| (reason, advice));
    let tries = tries(&complaint.head).map(|tries| format!(" (tried {tries} times)")).unwrap_or_default();
    let at = address.map(|address| format!(" at {address}")).unwrap_or_default();
    Some(start(&place, &format!("{whose} could not be reached{at}: {reason}{tries}; {advice}")))
}

/// The sentence for a hint that tells of an index which refused to answer.
pub(super) fn refused(hint: &str) -> Option<String> {
    let (_, rest) = hint.strip_prefix("An index").and_then(|rest| rest.split_once('('))?;
    let (address, rest) = rest.split_once(')')?;
    let status = ["401 Unauthorized", "403 Forbidden"].into_iter().find(|status| rest.contains(status))?;
    Some(format!("The package index {address} answered {status}; {CREDENTIALS}"))
}

/// The line that names a package at an address.
fn place(complaint: &Complaint, case: &Case<'_>) -> String {
    let named = complaint.head.split('`').nth(1).map(package_of);
    let line = named.and_then(|package| case.requirements.line_of(package));
    line.map_or_else(String::new, |line| format!("requirements.txt line {line}: "))
}

fn start(place: &str, sentence: &str) -> String {
    if !place.is_empty() {
        return format!("{place}{sentence}");
    }
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn what_to_do(status: &str) -> &'static str {
    match status.as_bytes().first() {
        _ if status.starts_with("401") || status.starts_with("403") => CREDENTIALS,
        _ if status.starts_with("407") => "the operator gives the proxy's credentials in HTTPS_PROXY",
        _ if status.starts_with("404") || status.starts_with("410") => "check the address",
        _ if status.starts_with("429") => "it wants fewer calls; try again later",
        Some(b'5') => "the trouble is there; try again later",
        _ => "let the operator check the address",
    }
}

/// How often it was tried.
fn tries(head: &str) -> Option<u32> {
    let (_, rest) = head.split_once("failed after ")?;
    rest.split(' ').next()?.parse::<u32>().ok().map(|retries| retries + 1)
}
