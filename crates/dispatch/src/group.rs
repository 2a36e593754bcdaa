//! Several requests in one call: their bodies as a list, and the list of results taken apart again.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::value::RawValue;

use crate::job::{Call, FailureKind, Outcome};

/// The flag of a call whose body is a JSON list, as the worker protocol has it.
const LIST: u8 = 2;
/// The most bytes of input in one group; a request larger than that goes alone.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// How requests that wait at the same time are put together into one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// How many at most.
    pub size: usize,
    /// How long the oldest may be kept waiting for others while a seat is idle.
    pub wait: Duration,
    /// Whether the requests of a call that failed are run again one by one.
    pub rerun: bool,
}

impl Call {
    /// Whether it can be an item of a list: text cannot, and neither can what is a list already.
    pub(crate) fn is_single(&self) -> bool {
        self.flags == 0
    }

    /// One call for all of these, in their order, in the context of the first.
    pub(crate) fn of_all(calls: &[Call]) -> Call {
        let bytes = calls.iter().map(|call| call.body.len() + 1).sum::<usize>();
        let mut body = BytesMut::with_capacity(bytes + 1);
        body.put_u8(b'[');
        for (at, call) in calls.iter().enumerate() {
            if at > 0 {
                body.put_u8(b',');
            }
            body.put_slice(&call.body);
        }
        body.put_u8(b']');
        let context = calls.first().map(|call| call.context.clone()).unwrap_or_default();
        let members = calls.iter().map(|call| call.context.clone()).collect();
        Call { flags: LIST, context, body: body.freeze(), members }
    }
}

/// The results of a group of so many, sharing the bytes of the list; or, when that is no such list, how the group failed.
pub(crate) fn split(list: &Bytes, members: usize) -> Result<Vec<Bytes>, Outcome> {
    let found = match serde_json::from_slice::<Vec<&RawValue>>(list) {
        Ok(items) if items.len() == members => {
            return Ok(items.into_iter().map(|item| list.slice_ref(item.get().as_bytes())).collect());
        }
        Ok(items) => format!("a list of {}", items.len()),
        Err(_) => "no list".to_owned(),
    };
    let message = format!(
        "The requests method was called with {members} requests at once and must return a list of {members} results, \
         but returned {found}"
    );
    Err(Outcome::Failed { message, public: None, kind: FailureKind::Output })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn call(context: &'static str, body: &'static str) -> Call {
        let (context, body) = (Bytes::from_static(context.as_bytes()), Bytes::from_static(body.as_bytes()));
        Call { context, body, ..Call::default() }
    }

    #[test]
    fn bodies_become_a_list_in_the_first_context() {
        let call = Call::of_all(&[call("a", r#"{"x":1}"#), call("b", " 2 "), call("c", r#""],[""#)]);
        assert_eq!((call.flags, &call.context[..], &call.body[..]), (2, &b"a"[..], &br#"[{"x":1}, 2 ,"],["]"#[..]));
        assert_eq!(split(&call.body, 3).unwrap(), [&br#"{"x":1}"#[..], b"2", br#""],[""#]);
    }

    #[test]
    fn only_a_list_of_as_many_can_be_taken_apart() {
        let refusal = |list: &'static str| match split(&Bytes::from_static(list.as_bytes()), 2) {
            Err(Outcome::Failed { message, kind: FailureKind::Output, .. }) => message,
            other => panic!("{list} gave {other:?}"),
        };
        for list in ["{}", "[1,2", "[1,2]]", "[1 2]", "", "null", "\"[1,2]\""] {
            assert!(refusal(list).ends_with("but returned no list"), "{list}");
        }
        assert!(refusal("[1,2,3]").ends_with("but returned a list of 3"));
        assert!(refusal("[]").ends_with("but returned a list of 0"));
        assert_eq!(split(&Bytes::from_static(b" [ [1] , null ] "), 2).unwrap(), [&b"[1]"[..], b"null"]);
    }
}
